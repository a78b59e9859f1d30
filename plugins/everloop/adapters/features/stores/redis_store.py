"""The online store on Redis, for the loop: pipelines of guarded writes, one MGET to read. See `packed` for the layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from redis import Redis, RedisCluster
from redis.exceptions import RedisError

from everloop.adapters.features.stores.chunks import chunks
from everloop.adapters.features.stores.judged import Found
from everloop.adapters.features.stores.packed import from_table
from everloop.adapters.features.stores.redis_guard import NEWEST, newest_of, offer
from everloop.errors import SourceError
from everloop.release import ViewPlan

if TYPE_CHECKING:
    import pyarrow as pa

    from everloop.adapters.features.stores.contract import Origin, PlannedRead, Row

CHUNK = 20_000
"""Rows in one pipeline: bounds what the client and the server hold of it at once (10 MB)."""

MATERIALIZING = "online:materializing"
"""A hash: how far a materialization has come, `<version> <rows>` by its origin's name; gone when it is through."""

CLUSTER = "redis+cluster://"


class RedisStore:
    """`OnlineStore` at `redis://`, `rediss://`, `unix://` or, for a cluster, `redis+cluster://host:port`."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def prepare(self, views: Iterable[ViewPlan]) -> None:
        """See `OnlineStore.prepare`: keys come with their rows."""

    def write(self, view: ViewPlan, batches: Iterable[pa.Table], origin: Origin | None = None) -> int:
        """See `OnlineStore.write`. A chunk is one pipeline; its script calls are atomic, up to 500 rows each."""
        changed = 0
        with self._answering():
            for done, chunk in chunks(batches, CHUNK, self._landed(origin)):
                pipe = self._client.pipeline(transaction=False)
                offer(pipe, view, from_table(view, chunk))
                changed += sum(pipe.execute()[:-1])
                if origin:
                    self._client.hset(MATERIALIZING, origin.name, f"{origin.version} {done}")
            if origin:
                self._client.hdel(MATERIALIZING, origin.name)
        return changed

    def read(self, read: PlannedRead, rows: Sequence[Row], as_of: Sequence[datetime]) -> list[Found]:
        """See `OnlineStore.read`. One MGET; on a cluster one for each hash tag, sent together."""
        keys = read.packed.keys(rows)
        wanted = list({key for key in keys if key is not None})
        with self._answering():
            values = dict(zip(wanted, self._get(wanted), strict=True)) if wanted else {}
        return read.judges.judged(read.packed.stored([key and values[key] for key in keys]), as_of)

    def newest(self, views: Iterable[ViewPlan]) -> dict[str, datetime]:
        """See `OnlineStore.newest`."""
        asked = list(views)
        with self._answering():
            return newest_of(asked, [self._client.zscore(NEWEST, view.table) for view in asked])

    def drop(self, views: Iterable[ViewPlan]) -> None:
        """See `OnlineStore.drop`."""
        with self._answering():
            for view in views:
                for key in self._client.scan_iter(f"{{{view.table}.[0-9a-f][0-9a-f]}}*", count=10_000):
                    self._client.unlink(key)
                self._client.zrem(NEWEST, view.table)

    def close(self) -> None:
        """See `OnlineStore.close`."""
        if "_client" in vars(self):
            self._client.close()

    @cached_property
    def _client(self) -> Any:
        if self._uri.startswith(CLUSTER):
            return RedisCluster.from_url(self._uri.replace(CLUSTER, "redis://", 1), socket_timeout=60, socket_connect_timeout=10)
        return Redis.from_url(self._uri, socket_timeout=60, socket_connect_timeout=10)

    def _get(self, keys: list[bytes]) -> list[bytes | None]:
        client = self._client
        return client.mget_nonatomic(keys) if isinstance(client, RedisCluster) else client.mget(keys)

    def _landed(self, origin: Origin | None) -> int:
        """How many rows of the origin an earlier call has landed."""
        noted = self._client.hget(MATERIALIZING, origin.name) if origin else None
        if origin is None or noted is None:
            return 0
        version, rows = map(int, noted.split())
        return rows if version == origin.version else 0

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            parts = urlsplit(self._uri)
            place = f"{parts.hostname}:{parts.port or 6379}" if parts.hostname else parts.path
            raise SourceError(f"Redis {place} does not answer: {error}: start it, or correct EVERLOOP_ONLINE") from error
