"""The online store on PostgreSQL, for the scorer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg

from everloop.adapters.features.stores.connections import Connections
from everloop.adapters.features.stores.sql import NEWEST_READ, SESSION, online_upsert
from everloop.release import ViewPlan

if TYPE_CHECKING:
    from everloop.adapters.features.stores.contract import PlannedRead, Row
    from everloop.adapters.features.stores.judged import Stored

CONNECTIONS = 8
"""At most, for each process of the scorer: each costs the server a process."""


class AsyncPostgresStore:
    """`AsyncOnlineStore` in the schema `online` of a database."""

    # InternalClientError: the server said that it ends, and the connection is not seen to have ended yet.
    errors: tuple[type[Exception], ...] = (
        OSError,
        TimeoutError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    )

    def __init__(self, uri: str, seconds: float) -> None:
        self._uri, self._seconds = uri, seconds
        self._connections: Connections[asyncpg.Connection] | None = None

    async def open(self) -> None:
        """See `AsyncOnlineStore.open`."""
        self._connections = Connections(
            self._connect,
            lambda connection: not connection.is_closed(),
            _cut,
            most=CONNECTIONS,
            seconds=self._seconds,
        )

    async def write(self, view: ViewPlan, rows: Sequence[Row]) -> int:
        """See `OnlineStore.write`."""
        upsert = online_upsert(view, "numeric")
        parameters = upsert.parameters(rows)
        return int(await self._open.run(lambda connection: connection.fetchval(upsert.sql, *parameters)))

    async def stored(self, read: PlannedRead, rows: Sequence[Row]) -> list[list[Stored | None]]:
        """See `AsyncOnlineStore.stored`."""
        statement = read.statement
        parameters = statement.parameters(rows)
        records = await self._open.run(lambda connection: connection.fetch(statement.sql, *parameters))
        return [statement.split(record) for record in records]

    async def newest(self, views: Iterable[ViewPlan]) -> dict[str, datetime]:
        """See `OnlineStore.newest`."""
        names = {view.table: view.name for view in views}
        found = await self._open.run(lambda connection: connection.fetch(NEWEST_READ.format("$1"), list(names)))
        return {names[table]: moment for table, moment in found}

    async def close(self) -> None:
        """See `AsyncOnlineStore.close`."""
        if self._connections is not None:
            await self._connections.close()

    async def _connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(
            self._uri,
            timeout=None,  # the call that needs the connection has a limit, for all it does
            server_settings={"application_name": "everloop scorer", "timezone": "UTC", **SESSION},
        )

    @property
    def _open(self) -> Connections[asyncpg.Connection]:
        if self._connections is None:
            raise ConnectionError("the online store is not open")
        return self._connections


async def _cut(connection: asyncpg.Connection) -> None:
    connection.terminate()
