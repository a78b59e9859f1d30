"""The online store on PostgreSQL, for the scorer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg

from everloop.adapters.features.online_sql import NEWEST_READ, SESSION, online_upsert
from everloop.release import ViewPlan

if TYPE_CHECKING:
    from everloop.adapters.features.online_store import Found, PlannedRead, Row


class AsyncPostgresStore:
    """`AsyncOnlineStore` in the schema `online` of a database."""

    errors: tuple[type[Exception], ...] = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

    def __init__(self, uri: str, seconds: float) -> None:
        self._uri, self._seconds = uri, seconds
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> None:
        """See `AsyncOnlineStore.open`."""
        self._pool = await asyncpg.create_pool(
            self._uri,
            min_size=0,
            max_size=8,
            timeout=self._seconds,
            command_timeout=self._seconds,
            reset=_as_it_is,
            server_settings={"application_name": "everloop scorer", "timezone": "UTC", **SESSION},
        )

    async def write(self, view: ViewPlan, rows: Sequence[Row]) -> int:
        """See `OnlineStore.write`."""
        upsert = online_upsert(view, "numeric")
        return int(await self._open.fetchval(upsert.sql, *upsert.parameters(rows)))

    async def read(self, read: PlannedRead, rows: Sequence[Row], as_of: Sequence[datetime]) -> list[Found]:
        """See `OnlineStore.read`."""
        statement = read.statement
        records = await self._open.fetch(statement.sql, *statement.parameters(rows, as_of))
        return [statement.split(record) for record in records]

    async def newest(self, views: Iterable[ViewPlan]) -> dict[str, datetime]:
        """See `OnlineStore.newest`."""
        names = {view.table: view.name for view in views}
        found = await self._open.fetch(NEWEST_READ.format("$1"), list(names))
        return {names[table]: moment for table, moment in found}

    async def close(self) -> None:
        """See `AsyncOnlineStore.close`."""
        if self._pool is not None:
            self._pool.terminate()

    @property
    def _open(self) -> asyncpg.Pool:
        if self._pool is None:
            raise ConnectionError("the online store is not open")
        return self._pool


async def _as_it_is(_: asyncpg.Connection) -> None:
    """Nothing here changes a session, and the pool's own reset is one more round trip for every read."""
