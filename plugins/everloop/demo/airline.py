"""The airline's operational world: a database of flights and planes, and a landing place for weather, filled as 2013 goes by."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import psycopg

from everloop.adapters.sources.landing import open_landing
from everloop.demo.year import KEYS, frames, within
from everloop.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = """
CREATE TABLE IF NOT EXISTS flights (
    carrier text, flight bigint, tailnum text, origin text, dest text,
    scheduled_departure timestamptz, scheduled_arrival bigint, distance double precision,
    departure_delay double precision, arrival_delay double precision, closed_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (carrier, flight, origin, scheduled_departure)
);
CREATE INDEX IF NOT EXISTS flights_closed_at ON flights (closed_at);
CREATE INDEX IF NOT EXISTS flights_updated_at ON flights (updated_at);
CREATE TABLE IF NOT EXISTS planes (
    tailnum text PRIMARY KEY, year double precision, engines double precision, seats double precision,
    registered_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS planes_registered_at ON planes (registered_at);
CREATE INDEX IF NOT EXISTS planes_updated_at ON planes (updated_at);
CREATE TABLE IF NOT EXISTS everloop_watermark (source_table text PRIMARY KEY, complete_until timestamptz NOT NULL);
"""
EVENT_TIMES = {"flights": "closed_at", "planes": "registered_at"}


def create(uri: str) -> None:
    """Make the airline's tables in its (existing) database; what is there stays."""
    with psycopg.connect(uri) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('airline'))")
        connection.execute(SCHEMA)


def arrive(uri: str, landing: str, interval: Interval, s3_endpoint: str | None = None) -> dict[str, int]:
    """What happened in `interval` reaches the airline's systems: rows changed by table, files written.

    Files first, then one transaction with rows, watermark and `NOTIFY everloop_arrived`: whoever is woken finds everything.
    Twice is once, but for the bell.
    """
    place = open_landing(landing, s3_endpoint)
    arrived = {"files": 0}
    for name, content in _weather_files(interval):
        place.write(name, content)
        arrived["files"] += 1
    with psycopg.connect(uri) as connection:
        for table in KEYS:
            arrived[table] = _upsert(connection, table, within(frames()[table], EVENT_TIMES[table], interval.start, interval.end))
            connection.execute(
                "INSERT INTO everloop_watermark AS w VALUES (%s, %s) ON CONFLICT (source_table) DO UPDATE "
                "SET complete_until = greatest(w.complete_until, excluded.complete_until)",
                [table, interval.end],
            )
        connection.execute("SELECT pg_notify('everloop_arrived', %s)", [interval.end.isoformat()])
    return arrived


def _weather_files(interval: Interval) -> Iterator[tuple[str, bytes]]:
    """One CSV for each day that begins in `interval`, empty but for its header where nothing was measured."""
    day = interval.start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < interval.end:
        if day >= interval.start:
            rows = within(frames()["weather"], "observed_at", day, day + timedelta(days=1))
            yield day.strftime("weather/%Y-%m-%d.csv"), rows.write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ").encode()
        day += timedelta(days=1)


def _upsert(connection: psycopg.Connection, table: str, rows: pl.DataFrame) -> int:
    """The number of rows that were new or changed."""
    names = ", ".join(rows.columns)
    changed = ", ".join(f"{name} = excluded.{name}" for name in rows.columns)
    ours, theirs = (", ".join(f"{side}.{name}" for name in rows.columns) for side in ("t", "excluded"))
    connection.execute(f"CREATE TEMP TABLE arriving ON COMMIT DROP AS SELECT {names} FROM {table} LIMIT 0")
    with connection.cursor().copy(f"COPY arriving ({names}) FROM STDIN (FORMAT csv)") as copy:
        copy.write(rows.write_csv(include_header=False, datetime_format="%Y-%m-%dT%H:%M:%SZ").encode())
    done = connection.execute(
        f"INSERT INTO {table} AS t ({names}) SELECT {names} FROM arriving ON CONFLICT ({', '.join(KEYS[table])}) "
        f"DO UPDATE SET {changed}, updated_at = now() WHERE ({ours}) IS DISTINCT FROM ({theirs})"
    )
    connection.execute("DROP TABLE arriving")
    return done.rowcount
