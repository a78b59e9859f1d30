"""Rows of PostgreSQL tables, by event time, from one consistent snapshot."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Any

import psycopg
import pyarrow as pa
import pyarrow.csv
from psycopg import IsolationLevel, sql

from everloop.adapters.database import connect, place
from everloop.adapters.sources.contract import check_columns, conform
from everloop.adapters.sources.gathered import gathered
from everloop.errors import ConfigurationError, ContractError, SourceError
from everloop.interval import Interval
from everloop.use_case import PostgresTable, SourceTable

WATERMARKS = "everloop_watermark"
"""A source may say how far it is complete: table `everloop_watermark(source_table text, complete_until timestamptz)`."""
STATEMENT_SECONDS = 1800.0
IN_MEMORY = 64 * 1024 * 1024


def extract(
    connections: Mapping[str, str], table: SourceTable, source: PostgresTable, interval: Interval, size: int
) -> Iterator[pa.RecordBatch]:
    """The rows with event time in `interval`, about `size` bytes at a time.

    Rows without event time are not closed yet: they belong to no interval. Values are read as text and held to the contract
    here, so a source that changes a type loses no rows by it. All rows are on disk here, and the connection is closed, before
    the first batch is given.
    """
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        with snapshot(connections, source) as connection:
            where = f'{source.connection}: table "{source.table}"'
            extra = check_columns(_columns(connection, source), table, where)
            _copy(connection, table, source, interval, file)
        file.seek(0)
        yield from gathered((conform(texts, table, {}, extra) for texts in _texts(file, table, size)), table, size)


def watermark(connections: Mapping[str, str], table: SourceTable, source: PostgresTable) -> datetime | None:
    """What the source's own `everloop_watermark` says of the table; without that, its largest event time.

    The second rule fits busy append-only tables: a row later than the end of an interval is then taken as proof that the
    interval is complete. A quiet table needs the first rule, else it holds the loop back.
    """
    with snapshot(connections, source) as connection:
        if _columns(connection, PostgresTable(connection=source.connection, table=WATERMARKS)):
            told = connection.execute(
                sql.SQL("SELECT complete_until FROM {} WHERE source_table = %s").format(sql.Identifier(WATERMARKS)),
                [source.table],
            ).fetchone()
            if told:
                return _aware(told[0])
        check_columns(_columns(connection, source), table, f'{source.connection}: table "{source.table}"')
        latest = connection.execute(
            sql.SQL("SELECT max({}::timestamptz) FROM {}").format(sql.Identifier(table.event_time), identifier(source.table))
        ).fetchone()
        return _aware(latest[0]) if latest else None


def identifier(table: str) -> sql.Identifier:
    """`table` or `schema.table`, quoted."""
    return sql.Identifier(*table.split("."))


@contextmanager
def connected(connections: Mapping[str, str], name: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the system called `name`; what fails on the way there is a `SourceError` without the password."""
    if name not in connections:
        raise ConfigurationError(
            f'No connection "{name}" is set (set: {", ".join(sorted(connections)) or "none"}): '
            f"set EVERLOOP_CONNECTION_{name.upper()} to its libpq URI"
        )
    try:
        with connect(connections[name], statement_seconds=STATEMENT_SECONDS) as connection:
            yield connection
    except (psycopg.OperationalError, SourceError) as error:
        if isinstance(error, ContractError):
            raise
        raise SourceError(
            f'System "{name}" ({place(connections[name])}) does not answer: {str(error).strip()}. Nothing was kept; '
            "the task may simply run again when it does"
        ) from error


@contextmanager
def snapshot(connections: Mapping[str, str], source: PostgresTable) -> Iterator[psycopg.Connection[Any]]:
    """A read-only connection to the table's system that sees one moment all along."""
    with connected(connections, source.connection) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SET LOCAL datestyle = 'ISO, YMD'")
        yield connection


def _columns(connection: psycopg.Connection[Any], source: PostgresTable) -> list[str]:
    """The table's columns in their order; none when it does not exist."""
    query = """
        SELECT attname FROM pg_attribute
        WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
    """
    return [row[0] for row in connection.execute(query, [identifier(source.table).as_string(connection)])]


def _copy(
    connection: psycopg.Connection[Any], table: SourceTable, source: PostgresTable, interval: Interval, file: IO[bytes]
) -> None:
    """Sorted by the server, in its own bounded memory: unsorted, of rows with one key another might come first each time."""
    texts = {name: sql.SQL("{}::text").format(sql.Identifier(name)) for name in table.columns}
    order = [sql.SQL('{} COLLATE "C"').format(texts[name]) for name in (*table.key, *table.columns)]
    event_time = sql.SQL("{}::timestamptz").format(sql.Identifier(table.event_time))
    query = sql.SQL(
        "COPY (SELECT {columns} FROM {table} WHERE {at} >= {start} AND {at} < {end} ORDER BY {order}) TO STDOUT (FORMAT csv)"
    ).format(
        columns=sql.SQL(", ").join(texts.values()),
        table=identifier(source.table),
        at=event_time,
        start=sql.Literal(interval.start),
        end=sql.Literal(interval.end),
        order=sql.SQL(", ").join(order),
    )
    try:
        with connection.cursor().copy(query) as copy:
            for block in copy:
                file.write(block)
    except psycopg.DataError as error:
        raise ContractError(
            f'{source.connection}: column "{table.event_time}" of table "{source.table}" holds values that are no timestamps: '
            f"{str(error).strip()}. Rows cannot be told apart by interval: mend the column"
        ) from error


def _texts(file: IO[bytes], table: SourceTable, size: int) -> Iterator[pa.Table]:
    """COPY's CSV, `size` bytes at a time: an unquoted nothing is null, a quoted one an empty text."""
    names = list(table.columns)
    if not file.read(1):
        return
    file.seek(0)
    reader = pa.csv.open_csv(
        file,
        read_options=pa.csv.ReadOptions(column_names=names, use_threads=False, block_size=size),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    for batch in reader:
        yield pa.Table.from_batches([batch])


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
