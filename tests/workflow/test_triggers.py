from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from airflow.triggers.base import TriggerEvent

from everloop.workflow.triggers import ArrivalTrigger

Rings = Callable[[ArrivalTrigger, int, Callable[[], Awaitable[object]]], list[str]]


@pytest.fixture
def source(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A source database that the settings know as `airline`."""
    for name, value in {"DATABASE": database, "MLFLOW": "unused", "CONNECTION_AIRLINE": database}.items():
        monkeypatch.setenv(f"EVERLOOP_{name}", value)
    return database


def trigger(**seconds: float) -> ArrivalTrigger:
    return ArrivalTrigger(**({"use_case": "flights", "connection": "airline", "poll": 60.0, "retry": 0.1} | seconds))


def rings(watching: ArrivalTrigger, count: int, *happens: Callable[[], Awaitable[object]]) -> list[str]:
    """Why `watching` rang, `count` times, something happening after each of its first rings."""

    async def listen() -> list[str]:
        found, todo = [], list(happens)
        stream = watching.run()
        async with asyncio.timeout(20):
            async for event in stream:
                assert isinstance(event, TriggerEvent)
                found.append(event.payload["why"])
                if len(found) == count:
                    break
                if todo:
                    await todo.pop(0)()
        await stream.aclose()
        return found

    return asyncio.run(listen())


def saying(uri: str, *statements: str) -> Callable[[], Awaitable[object]]:
    async def say() -> None:
        connection = await asyncpg.connect(uri)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    return say


def test_it_rings_once_at_its_start_and_then_at_every_notify(source: str) -> None:
    notify = saying(source, "NOTIFY everloop_arrived")
    assert rings(trigger(), 3, notify, notify) == ["watching since now", "notified", "notified"]


def test_a_moved_watermark_rings_without_a_notify(source: str) -> None:
    table = "CREATE TABLE everloop_watermark (source_table text PRIMARY KEY, complete_until timestamptz NOT NULL)"
    asyncio.run(saying(source, table)())
    moved = saying(source, "INSERT INTO everloop_watermark VALUES ('flights', '2013-01-08T00:00Z')")
    assert rings(trigger(poll=0.2), 2, moved) == ["watching since now", "polled"]


def test_it_rings_from_time_to_time_in_case_an_event_was_lost(source: str) -> None:
    assert rings(trigger(poll=0.1, sweep=0.3), 2) == ["watching since now", "swept"]


def test_a_broken_connection_is_made_anew_and_rings(source: str) -> None:
    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    kill = saying(source, others)
    assert rings(trigger(poll=0.2), 2, kill) == ["watching since now", "watching since now"]


def test_it_survives_being_stored_and_keeps_no_address(source: str) -> None:
    path, arguments = trigger().serialize()
    assert path == f"{ArrivalTrigger.__module__}.{ArrivalTrigger.__name__}"
    assert ArrivalTrigger(**arguments).serialize() == (path, arguments)
    assert source not in str(arguments)
