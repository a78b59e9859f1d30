from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from everloop.workflow.triggers import ArrivalTrigger


@pytest.fixture
def source(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A source database that the settings know as `airline`."""
    for name, value in {"DATABASE": database, "MLFLOW": "unused", "CONNECTION_AIRLINE": database}.items():
        monkeypatch.setenv(f"EVERLOOP_{name}", value)
    return database


class Store:
    """What Airflow keeps for a watcher beside its asset, in memory."""

    def __init__(self, **kept: str) -> None:
        self.kept = kept

    async def aget(self, key: str, default: object = None) -> object:
        return self.kept.get(key, default)

    async def aset(self, key: str, value: str) -> None:
        self.kept[key] = value


def trigger(store: Store | None = None, **seconds: float) -> ArrivalTrigger:
    made = ArrivalTrigger(**({"use_case": "flights", "connection": "airline", "poll": 60.0, "retry": 0.1} | seconds))
    made.asset_state_store = store or Store()
    return made


def rings(watching: ArrivalTrigger, *happens: Callable[[], Awaitable[object]]) -> list[str]:
    """Why `watching` rang after each of the things that happened."""

    async def listen() -> list[str]:
        found = []
        stream = watching.run()
        async with asyncio.timeout(20):
            for happening in happens:
                ring = asyncio.ensure_future(anext(stream))
                await asyncio.sleep(0 if found else 0.5)
                await happening()
                found.append((await ring).payload["why"])
        await stream.aclose()
        return found

    return asyncio.run(listen())


async def nothing() -> None:
    """Only time passes."""


def saying(uri: str, *statements: str) -> Callable[[], Awaitable[object]]:
    async def say() -> None:
        connection = await asyncpg.connect(uri)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    return say


TABLE = "CREATE TABLE everloop_watermark (source_table text PRIMARY KEY, complete_until timestamptz NOT NULL)"
ARRIVED = "INSERT INTO everloop_watermark VALUES ('flights', '2013-01-08T00:00Z')"


def test_it_rings_at_every_notify_and_not_before(source: str) -> None:
    notify = saying(source, "NOTIFY everloop_arrived")
    assert rings(trigger(), notify, notify) == ["notified", "notified"]


def test_a_moved_watermark_rings_without_a_notify(source: str) -> None:
    asyncio.run(saying(source, TABLE)())
    assert rings(trigger(poll=0.2), saying(source, ARRIVED)) == ["watermarks moved"]


def test_what_moved_while_nobody_watched_rings_at_the_start(source: str) -> None:
    asyncio.run(saying(source, TABLE)())
    store = Store()
    assert rings(trigger(store), saying(source, ARRIVED, "NOTIFY everloop_arrived")) == ["notified"]
    asyncio.run(saying(source, "UPDATE everloop_watermark SET complete_until = '2013-01-15T00:00Z'")())
    assert rings(trigger(store), nothing) == ["watermarks moved"]


def test_it_rings_from_time_to_time_in_case_an_event_was_lost(source: str) -> None:
    assert rings(trigger(poll=0.1, sweep=0.3), nothing) == ["swept"]


def test_a_broken_connection_is_made_anew_and_rings(source: str) -> None:
    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert rings(trigger(poll=0.2), saying(source, others)) == ["connected anew"]


def test_it_survives_being_stored_and_keeps_no_address(source: str) -> None:
    path, arguments = trigger().serialize()
    assert path == f"{ArrivalTrigger.__module__}.{ArrivalTrigger.__name__}"
    assert ArrivalTrigger(**arguments).serialize() == (path, arguments)
    assert source not in str(arguments)
