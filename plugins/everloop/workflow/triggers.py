"""Watches a source database for arrivals: NOTIFY for speed, a slow poll because a NOTIFY can be missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from everloop.settings import read_settings

if TYPE_CHECKING:
    import asyncpg

CHANNEL = "everloop_arrived"
"""What a source system calls when something new is complete: `NOTIFY everloop_arrived`."""


class ArrivalTrigger(BaseEventTrigger):
    """Rings when the database called `connection` says NOTIFY, and every `poll` seconds that passed without one.

    The event carries no data: the graph that answers it asks the source what is pending. So an extra ring costs one short run,
    and a lost one delays an interval by `poll` seconds at most: lost by a dropped connection, a restart of the triggerer,
    or Airflow's own coalescing of events (apache/airflow issue 56050). Only the connection's name is stored; its address is read
    from the environment of the triggerer.
    """

    def __init__(self, *, use_case: str, connection: str, poll: float = 900.0, retry: float = 10.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.use_case = use_case
        self.connection = connection
        self.poll = poll
        self.retry = retry

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where the class is, and what makes an equal one."""
        return (
            "everloop.workflow.triggers.ArrivalTrigger",
            {"use_case": self.use_case, "connection": self.connection, "poll": self.poll, "retry": self.retry},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Rings for ever; the first time at once, since nobody knows what arrived before."""
        while True:
            try:
                async for why in self._rings():
                    payload = {"use_case": self.use_case, "why": why, "at": datetime.now(UTC).isoformat()}
                    yield TriggerEvent(payload)  # type: ignore[no-untyped-call]
            except (OSError, _database_errors()) as error:
                self.log.warning("Connection %s: %s; trying again in %.0f s", self.connection, error, self.retry)
            await asyncio.sleep(self.retry)

    async def _rings(self) -> AsyncIterator[str]:
        """Reasons to ring, until the connection breaks."""
        import asyncpg

        database = await asyncpg.connect(read_settings().connection(self.connection), timeout=self.retry)
        try:
            arrivals = await _listen(database)
            yield "watching since now"
            while not database.is_closed():
                yield await _next(arrivals, self.poll)
        finally:
            await database.close(timeout=self.retry)


async def _listen(database: asyncpg.Connection) -> asyncio.Queue[str]:
    """A queue that gets an entry at every NOTIFY and when the connection ends."""
    arrivals: asyncio.Queue[str] = asyncio.Queue()
    await database.add_listener(CHANNEL, lambda *_: arrivals.put_nowait("notified"))
    database.add_termination_listener(lambda *_: arrivals.put_nowait("connection lost"))
    return arrivals


async def _next(arrivals: asyncio.Queue[str], poll: float) -> str:
    """The next reason; several that wait at the same time are one."""
    try:
        why = await asyncio.wait_for(arrivals.get(), timeout=poll)
    except TimeoutError:
        return "polled"
    while not arrivals.empty():
        arrivals.get_nowait()
    return why


def _database_errors() -> type[Exception]:
    import asyncpg

    error: type[Exception] = asyncpg.PostgresError
    return error
