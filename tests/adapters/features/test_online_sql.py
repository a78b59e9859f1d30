"""The online statements, run on PostgreSQL by both drivers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import psycopg
import pytest

from everloop.adapters.features.online_sql import create_table, online_read, online_upsert
from everloop.release import FeaturePlan, ViewPlan

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
RATES = ViewPlan(
    name="rates",
    table="online.demo_rates",
    join_keys={"carrier": "string"},
    features={"rate": "float", "flights": "int"},
    ttl_seconds=3600.0,
)
ROUTES = ViewPlan(
    name="routes",
    table="online.demo_routes",
    join_keys={"origin": "string", "dest": "string"},
    features={"busy": "bool"},
    ttl_seconds=None,
)
PLAN = FeaturePlan(service="demo", request={"carrier": "string", "origin": "string", "dest": "string"}, views=(RATES, ROUTES))


def rate(carrier: str | None, value: float | None, event: datetime, created: datetime | None = None) -> dict[str, Any]:
    return {"carrier": carrier, "rate": value, "flights": 7, "event_timestamp": event, "created": created or event}


@pytest.fixture
def online(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        for view in (RATES, ROUTES):
            for statement in create_table(view):
                connection.execute(statement)
        yield connection


def write(connection: psycopg.Connection[Any], *rows: dict[str, Any]) -> int:
    upsert = online_upsert(RATES, "format")
    return len(connection.execute(upsert.sql, upsert.parameters(rows)).fetchall())


def look(connection: psycopg.Connection[Any], carrier: str | None, as_of: datetime) -> tuple[str, float | None]:
    read = online_read(PLAN, "format")
    status, vector = read.split(connection.execute(read.sql, read.parameters([{"carrier": carrier}], [as_of])).fetchone())
    assert status["routes"] == "absent"
    return status["rates"], vector["rates__rate"]


def test_an_older_event_never_overwrites_a_newer_one(online: psycopg.Connection[Any]) -> None:
    assert write(online, rate("UA", 0.2, NOON)) == 1
    assert write(online, rate("UA", 0.9, NOON - timedelta(minutes=1), NOON + timedelta(days=9))) == 0
    assert look(online, "UA", NOON) == ("fresh", 0.2)


def test_a_correction_with_the_same_event_time_lands_and_an_older_version_does_not(online: psycopg.Connection[Any]) -> None:
    write(online, rate("UA", 0.2, NOON, NOON))
    assert write(online, rate("UA", 0.3, NOON, NOON + timedelta(minutes=1))) == 1
    assert write(online, rate("UA", 0.2, NOON, NOON)) == 0
    assert look(online, "UA", NOON + timedelta(minutes=1)) == ("fresh", 0.3)


def test_writing_twice_changes_nothing(online: psycopg.Connection[Any]) -> None:
    assert write(online, rate("UA", 0.2, NOON), rate("AA", None, NOON)) == 2
    assert write(online, rate("UA", 0.2, NOON), rate("AA", None, NOON)) == 0


def test_the_latest_of_several_rows_of_one_key_counts(online: psycopg.Connection[Any]) -> None:
    rows = [rate("UA", 0.1 * n, NOON + timedelta(minutes=n % 3)) for n in range(5)]
    assert write(online, *rows) == 1
    assert look(online, "UA", NOON + timedelta(minutes=2)) == ("fresh", pytest.approx(0.2))


def test_rows_without_a_key_are_no_feature_rows(online: psycopg.Connection[Any]) -> None:
    assert write(online, rate(None, 0.2, NOON)) == 0


@pytest.mark.parametrize(
    ("as_of", "status"),
    [
        (NOON, "fresh"),
        (NOON + timedelta(hours=1), "fresh"),
        (NOON + timedelta(hours=1, microseconds=1), "stale"),
        (NOON - timedelta(microseconds=1), "early"),
    ],
)
def test_ttl_bounds_are_inclusive(online: psycopg.Connection[Any], as_of: datetime, status: str) -> None:
    write(online, rate("UA", 0.2, NOON))
    assert look(online, "UA", as_of) == (status, 0.2 if status == "fresh" else None)


def test_a_row_not_yet_created_is_not_seen(online: psycopg.Connection[Any]) -> None:
    write(online, rate("UA", 0.2, NOON, NOON + timedelta(minutes=5)))
    assert look(online, "UA", NOON + timedelta(minutes=4)) == ("early", None)


def test_unknown_and_missing_keys_are_absent(online: psycopg.Connection[Any]) -> None:
    write(online, rate("UA", 0.2, NOON))
    assert look(online, "ZZ", NOON) == ("absent", None)
    assert look(online, None, NOON) == ("absent", None)


def test_many_requests_are_answered_in_order_by_asyncpg_too(database: str, online: psycopg.Connection[Any]) -> None:
    upsert = online_upsert(ROUTES, "format")
    route = {"origin": "JFK", "dest": "LAX", "busy": True, "event_timestamp": NOON, "created": NOON}
    online.execute(upsert.sql, upsert.parameters([route]))

    async def run() -> tuple[int, list[Any]]:
        connection = await asyncpg.connect(database)
        try:
            upsert = online_upsert(RATES, "numeric")
            changed = len(await connection.fetch(upsert.sql, *upsert.parameters([rate("UA", 0.2, NOON), rate("B6", 0.4, NOON)])))
            read = online_read(PLAN, "numeric")
            rows = [{"carrier": "B6"}, {"carrier": "UA", "origin": "JFK", "dest": "LAX"}, {"carrier": "B6"}]
            records = await connection.fetch(read.sql, *read.parameters(rows, [NOON] * 3))
            return changed, [read.split(record) for record in records]
        finally:
            await connection.close()

    changed, found = asyncio.run(run())
    assert changed == 2
    assert [vector["rates__rate"] for _, vector in found] == [0.4, 0.2, 0.4]
    assert [vector["routes__busy"] for _, vector in found] == [None, True, None]
    assert [status["routes"] for status, _ in found] == ["absent", "fresh", "absent"]


def test_a_table_gains_the_columns_it_lacks(online: psycopg.Connection[Any]) -> None:
    write(online, rate("UA", 0.2, NOON))
    wider = ViewPlan(
        name="rates",
        table=RATES.table,
        join_keys=RATES.join_keys,
        features={**RATES.features, "cancelled": "int"},
        ttl_seconds=60.0,
    )
    for statement in create_table(wider):
        online.execute(statement)
    assert online.execute("SELECT rate, cancelled FROM online.demo_rates").fetchall() == [(0.2, None)]
