"""The online store on Redis, for the scorer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from everloop.adapters.features.stores.connections import Connections
from everloop.adapters.features.stores.packed import from_rows
from everloop.adapters.features.stores.redis_guard import NEWEST, newest_of, offer
from everloop.adapters.features.stores.redis_store import CLUSTER
from everloop.release import ViewPlan

if TYPE_CHECKING:
    from everloop.adapters.features.stores.contract import PlannedRead, Row
    from everloop.adapters.features.stores.judged import Stored


CONNECTIONS = 32
"""At most, for each process of the scorer, to read."""


class AsyncRedisStore:
    """`AsyncOnlineStore` at the URIs of `RedisStore`.

    One server is read on connections of our own: redis-py's client takes 0.10 ms around the 0.06 of an MGET on its connection.
    """

    errors: tuple[type[Exception], ...] = (RedisError, OSError, TimeoutError)

    def __init__(self, uri: str, seconds: float) -> None:
        self._uri, self._seconds = uri, seconds
        self._client: Any = None
        self._connections: Connections[Any] | None = None

    async def open(self) -> None:
        """See `AsyncOnlineStore.open`."""
        # One retry, at once: a connection that stood idle may have died with a server that is back.
        told: dict[str, Any] = {
            "socket_timeout": self._seconds,
            "socket_connect_timeout": self._seconds,
            "retry": Retry(NoBackoff(), 1),
        }
        if self._uri.startswith(CLUSTER):
            self._client = RedisCluster.from_url(self._uri.replace(CLUSTER, "redis://", 1), **told)
        else:
            self._client = Redis.from_url(self._uri, **told)
            self._connections = Connections(self._connect, lambda _: True, _cut, most=CONNECTIONS, seconds=self._seconds)

    async def write(self, view: ViewPlan, rows: Sequence[Row]) -> int:
        """See `OnlineStore.write`."""
        pipe = self._client.pipeline(transaction=False)
        offer(pipe, view, from_rows(view, rows))
        return sum((await pipe.execute())[:-1])

    async def stored(self, read: PlannedRead, rows: Sequence[Row]) -> list[list[Stored | None]]:
        """See `AsyncOnlineStore.stored`."""
        keys = read.packed.keys(rows)
        wanted = list({key for key in keys if key is not None})
        values = dict(zip(wanted, await self._get(wanted), strict=True)) if wanted else {}
        return read.packed.stored([key and values[key] for key in keys])

    async def newest(self, views: Iterable[ViewPlan]) -> dict[str, datetime]:
        """See `OnlineStore.newest`."""
        asked = list(views)
        return newest_of(asked, [await self._client.zscore(NEWEST, view.table) for view in asked])

    async def close(self) -> None:
        """See `AsyncOnlineStore.close`."""
        if self._connections is not None:
            await self._connections.close()
        if self._client is not None:
            await self._client.aclose()

    async def _get(self, keys: list[bytes]) -> list[bytes | None]:
        if self._connections is None:
            found: list[bytes | None] = await self._client.mget_nonatomic(keys)
            return found
        return await self._connections.run(lambda connection: _mget(connection, keys))

    async def _connect(self) -> Any:
        """A connection by the client's settings; it connects with its first command.

        What it is asked has a limit already (see `Connections`), and redis-py's own costs a task for each command.
        """
        connection = self._client.connection_pool.make_connection()
        connection.socket_timeout = None
        return connection


async def _mget(connection: Any, keys: list[bytes]) -> list[bytes | None]:
    try:
        return await _ask(connection, keys)
    except RedisConnectionError:  # it stood idle while the server went and came back
        await _cut(connection)
        return await _ask(connection, keys)


async def _ask(connection: Any, keys: list[bytes]) -> list[bytes | None]:
    await connection.send_packed_command(_command(keys))
    answer: list[bytes | None] = await connection.read_response()
    return answer


def _command(keys: list[bytes]) -> bytes:
    """MGET as Redis' protocol spells it: redis-py, which takes any values, needs a microsecond a key for it."""
    return b"*%d\r\n$4\r\nMGET\r\n" % (len(keys) + 1) + b"".join([b"$%d\r\n%b\r\n" % (len(key), key) for key in keys])


async def _cut(connection: Any) -> None:
    await connection.disconnect(nowait=True)
