"""Watches a source database for arrivals: NOTIFY for speed, a slow poll because a NOTIFY can be missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from everloop.settings import read_settings

if TYPE_CHECKING:
    import asyncpg

CHANNEL = "everloop_arrived"
"""What a source system calls when something new is complete: `NOTIFY everloop_arrived`."""

_PATIENCE = 10.0
"""Seconds for connecting and for saying goodbye."""


class ArrivalTrigger(BaseEventTrigger):
    """Rings at NOTIFY, when a look every `poll` seconds finds the source's watermarks moved, and every `sweep` seconds anyhow.

    The event carries no data: the graph that answers it asks the source what is pending. So an extra ring costs one short run,
    and a lost one delays an interval, but strands none: a NOTIFY is lost with a dropped connection, an event to Airflow's own
    coalescing (apache/airflow issue 56050). The watermarks that were rung for are kept with the asset, so a restarted triggerer
    rings for what moved meanwhile; a watcher's very first look rings for nothing, since history is a backfill's matter. Only
    the connection's name is stored; its address is read from the environment of the triggerer.
    """

    def __init__(self, *, use_case: str, connection: str, poll: float = 60.0, sweep: float = 3600.0, retry: float = 10.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.use_case = use_case
        self.connection = connection
        self.poll = poll
        self.sweep = sweep
        self.retry = retry

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where the class is, and what makes an equal one."""
        names = ("use_case", "connection", "poll", "sweep", "retry")
        return "everloop.workflow.triggers.ArrivalTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Rings for ever."""
        first = None
        while True:
            try:
                async for why in self._rings(first):
                    payload = {"use_case": self.use_case, "why": why, "at": datetime.now(UTC).isoformat()}
                    yield TriggerEvent(payload)  # type: ignore[no-untyped-call]
            except _database_errors() as error:
                self.log.warning("Connection %s: %s; trying again in %.0f s", self.connection, error, self.retry)
            await asyncio.sleep(self.retry)
            first = "connected anew"

    async def _rings(self, why: str | None) -> AsyncIterator[str]:
        """Reasons to ring, `why` the first one unless `None`, until the connection breaks."""
        import asyncpg

        database = await asyncpg.connect(read_settings().connection(self.connection), timeout=_PATIENCE)
        try:
            arrivals = await _listen(database)
            seen, rang = await self._rung_for(), time.monotonic()
            while not database.is_closed():
                found = await _watermarks(database)
                if seen is not None and found != seen:
                    why = why or "watermarks moved"
                if time.monotonic() - rang >= self.sweep:
                    why = why or "swept"
                if why:
                    yield why
                    rang = time.monotonic()
                if found != seen:
                    seen = await self._keep(found)
                why = await _next(arrivals, self.poll)
        finally:
            await database.close(timeout=_PATIENCE)

    async def _rung_for(self) -> str | None:
        """The watermarks of the last ring, `None` before the first look."""
        if self.asset_state_store is None:
            return None
        kept = await self.asset_state_store.aget(self._key)
        return None if kept is None else str(kept)

    async def _keep(self, watermarks: str) -> str:
        if self.asset_state_store is not None:
            await self.asset_state_store.aset(self._key, watermarks)
        return watermarks

    @property
    def _key(self) -> str:
        return f"watermarks.{self.connection}"


async def _listen(database: asyncpg.Connection) -> asyncio.Queue[str]:
    """A queue that gets an entry at every NOTIFY and when the connection ends."""
    arrivals: asyncio.Queue[str] = asyncio.Queue()
    await database.add_listener(CHANNEL, lambda *_: arrivals.put_nowait("notified"))
    database.add_termination_listener(lambda *_: arrivals.put_nowait("connection lost"))
    return arrivals


async def _next(arrivals: asyncio.Queue[str], poll: float) -> str | None:
    """The next reason, `None` when there is none for `poll` seconds; several that wait at the same time are one."""
    try:
        why = await asyncio.wait_for(arrivals.get(), timeout=poll)
    except TimeoutError:
        return None
    while not arrivals.empty():
        arrivals.get_nowait()
    return why


async def _watermarks(database: asyncpg.Connection) -> str:
    """What the source says of itself; empty when it has no table `everloop_watermark`, or no row in it."""
    if await database.fetchval("SELECT to_regclass('everloop_watermark')") is None:
        return ""
    found = "SELECT string_agg(source_table || ' ' || complete_until, ', ' ORDER BY source_table) FROM everloop_watermark"
    return str(await database.fetchval(found) or "")


def _database_errors() -> tuple[type[Exception], ...]:
    import asyncpg

    return (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
