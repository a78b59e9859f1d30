"""The bulk path into the online store: COPY, then the guarded upsert."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv

from everloop.adapters.database import connect
from everloop.adapters.features.online_sql import POSTGRES_TYPES, create_table, online_columns, upsert_from
from everloop.release import ViewPlan

CHUNK = 100_000
"""Rows in one transaction: bounds memory and the time that locks are held."""

_CSV = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")


def create_tables(uri: str, views: Iterable[ViewPlan]) -> None:
    """Make the views' tables, or the columns that they lack (idempotent)."""
    with connect(uri) as connection:
        for view in views:
            for statement in create_table(view):
                connection.execute(statement)


def drop_tables(uri: str, tables: Iterable[str]) -> None:
    """Drop online tables by their qualified names."""
    with connect(uri) as connection:
        for table in tables:
            connection.execute(f"DROP TABLE IF EXISTS {table}")


def write_rows(uri: str, view: ViewPlan, rows: pa.Table) -> int:
    """Offer `rows` (the view's columns, `event_timestamp` and `created` among them) to its online table; rows changed.

    Each chunk is one transaction: killed in between, it is run again from the start and lands on the same table.
    """
    columns = online_columns(view)
    changed = 0
    with connect(uri, autocommit=True) as connection:
        for chunk in _chunks(rows.select(list(columns))):
            with connection.transaction():
                changed += _write_chunk(connection, view, chunk)
    return changed


def _chunks(rows: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, rows.num_rows, CHUNK):
        yield rows.slice(start, CHUNK)


def _write_chunk(connection: Any, view: ViewPlan, rows: pa.Table) -> int:
    columns = ", ".join(f'"{name}" {POSTGRES_TYPES[kind]}' for name, kind in online_columns(view).items())
    connection.execute(f"CREATE TEMP TABLE offered ({columns}) ON COMMIT DROP")
    text = io.BytesIO()
    pyarrow.csv.write_csv(rows, text, _CSV)
    with connection.cursor() as cursor:
        with cursor.copy("COPY offered FROM STDIN (FORMAT csv)") as copy:
            copy.write(text.getvalue())
        cursor.execute(upsert_from(view, "offered"))
        return int(cursor.rowcount)
