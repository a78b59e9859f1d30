"""The airline's operational database and the weather files: what the loop meets as other people's systems."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv
from psycopg import sql

from everloop.adapters.database import connect
from everloop.adapters.sources.landing import open_landing
from everloop.demo.year import flights, observations, planes
from everloop.interval import Interval

__all__ = ["arrive", "create", "flights", "observations", "planes"]

DOORBELL = "everloop_arrived"
DAY = timedelta(days=1)

_TABLES = """
CREATE TABLE IF NOT EXISTS flights (
    carrier text NOT NULL,
    flight int NOT NULL,
    tailnum text,
    origin text NOT NULL,
    dest text NOT NULL,
    scheduled_departure timestamptz NOT NULL,
    scheduled_arrival int,
    distance double precision,
    departure_delay double precision,
    arrival_delay double precision,
    closed_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (carrier, flight, origin, scheduled_departure)
);
CREATE INDEX IF NOT EXISTS flights_closed_at ON flights (closed_at);
CREATE TABLE IF NOT EXISTS planes (
    tailnum text PRIMARY KEY,
    year double precision,
    engines double precision,
    seats double precision,
    registered_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS everloop_watermark (
    source_table text PRIMARY KEY,
    complete_until timestamptz NOT NULL
);
"""


def create(uri: str) -> None:
    """Make the airline's tables; may run again."""
    with connect(uri) as connection:
        connection.execute(_TABLES)


def arrive(uri: str, landing: str, interval: Interval, s3_endpoint: str | None = None) -> dict[str, int]:
    """Let `interval` happen: its closed flights, newly registered planes and daily weather files; then ring the doorbell.

    Rows that are there already stay as they are. Returns the number of rows by table.
    """
    rows = {
        "flights": flights(interval.start, interval.end, by="closed_at"),
        "planes": planes(interval.start, interval.end),
    }
    files = _drop_weather(landing, interval, s3_endpoint)
    with connect(uri) as connection:
        for table, content in rows.items():
            _insert(connection, table, content)
            _complete(connection, table, interval.end)
        connection.execute(sql.SQL("NOTIFY {}").format(sql.Identifier(DOORBELL)))
    return {table: content.num_rows for table, content in rows.items()} | {"weather": files}


def _drop_weather(landing: str, interval: Interval, s3_endpoint: str | None) -> int:
    place, count = open_landing(landing, s3_endpoint), 0
    for day in _days(interval):
        observed = observations(day, day + DAY)
        content = io.BytesIO()
        pa.csv.write_csv(observed, content)
        place.write(f"weather/{day:%Y-%m-%d}.csv", content.getvalue())
        count += observed.num_rows
    return count


def _days(interval: Interval) -> Iterable[datetime]:
    day = interval.start
    while day < interval.end:
        yield day
        day += DAY


def _insert(connection: psycopg.Connection[Any], table: str, rows: pa.Table) -> None:
    content = io.BytesIO()
    pa.csv.write_csv(rows, content)
    name, arriving = sql.Identifier(table), sql.Identifier(f"arriving_{table}")
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.column_names))
    connection.execute(sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {} INCLUDING DEFAULTS) ON COMMIT DROP").format(arriving, name))
    with connection.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, HEADER)").format(arriving, columns)) as copy:
        copy.write(content.getvalue())
    connection.execute(sql.SQL("INSERT INTO {} SELECT * FROM {} ON CONFLICT DO NOTHING").format(name, arriving))


def _complete(connection: psycopg.Connection[Any], table: str, until: datetime) -> None:
    connection.execute(
        """
        INSERT INTO everloop_watermark VALUES (%s, %s) ON CONFLICT (source_table)
        DO UPDATE SET complete_until = greatest(everloop_watermark.complete_until, excluded.complete_until)
        """,
        (table, until),
    )
