"""Predictions back to the business: an idempotent upsert into a PostgreSQL table."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv
from psycopg import sql

from everloop.adapters.sources.postgres import connected, identifier
from everloop.errors import ConfigurationError, DataError
from everloop.ports import Batches


class PostgresDestination:
    """`ports.Destination`. `connections`: libpq URIs by name."""

    def __init__(self, connections: Mapping[str, str]) -> None:
        self._connections = connections

    def upsert(self, connection: str, table: str, rows: Batches, key: str) -> int:
        """See `ports.Destination.upsert`: COPY into a temporary table, then one INSERT that changes only rows that differ.

        An absent table is made. `DataError` for keys that are null or there twice; `ConfigurationError` when a table
        stands that has no unique `key`, or not these columns.
        """
        types = {field.name: _type(field, table) for field in rows.schema}
        with connected(self._connections, connection) as database:
            _create(database, table, types, key)
            try:
                _merge(database, table, rows, key)
            except (
                psycopg.errors.UndefinedColumn,
                psycopg.errors.InvalidColumnReference,
                psycopg.errors.DatatypeMismatch,
            ) as error:
                raise ConfigurationError(
                    f'Table "{table}" of "{connection}" cannot take predictions: {str(error).strip()}. It needs the columns '
                    f'{types} with "{key}" unique: alter it, or name another table in WriteBack'
                ) from error
        return rows.num_rows


def _type(field: pa.Field, table: str) -> str:
    kinds = (
        (pa.types.is_string, "text"),
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "bigint"),
        (pa.types.is_floating, "double precision"),
        (pa.types.is_timestamp, "timestamptz"),
    )
    for matches, kind in kinds:
        if matches(field.type):
            return kind
    raise ConfigurationError(
        f'Column "{field.name}" for table "{table}" is {field.type}: write text, numbers, booleans or timestamps'
    )


def _create(database: psycopg.Connection[Any], table: str, types: Mapping[str, str], key: str) -> None:
    # CREATE TABLE IF NOT EXISTS may still fail when two sessions run it at the same moment.
    database.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"everloop {table}"])
    columns = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in types.items()]
    database.execute(
        sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY ({}))").format(
            identifier(table), sql.SQL(", ").join(columns), sql.Identifier(key)
        )
    )


def _merge(database: psycopg.Connection[Any], table: str, rows: Batches, key: str) -> None:
    names = [sql.Identifier(name) for name in rows.schema.names]
    listed = sql.SQL(", ").join(names)
    database.execute(
        sql.SQL("CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT {} FROM {} LIMIT 0").format(listed, identifier(table))
    )
    with database.cursor().copy(sql.SQL("COPY incoming ({}) FROM STDIN (FORMAT csv)").format(listed)) as copy:
        for batch in rows:
            if nulls := batch[key].null_count:
                raise DataError(f'{nulls} rows for table "{table}" have no "{key}": give every row one')
            copy.write(_csv(batch))
    _refuse_repeated(database, table, key)
    database.execute(
        sql.SQL(
            "INSERT INTO {table} AS t ({names}) SELECT {names} FROM incoming ON CONFLICT ({key}) DO UPDATE "
            "SET ({names}) = ROW({theirs}) WHERE ROW({ours}) IS DISTINCT FROM ROW({theirs})"
        ).format(
            table=identifier(table),
            names=listed,
            key=sql.Identifier(key),
            ours=sql.SQL(", ").join(sql.SQL("t.{}").format(name) for name in names),
            theirs=sql.SQL(", ").join(sql.SQL("excluded.{}").format(name) for name in names),
        )
    )


def _refuse_repeated(database: psycopg.Connection[Any], table: str, key: str) -> None:
    try:
        database.execute(sql.SQL("CREATE UNIQUE INDEX ON incoming ({})").format(sql.Identifier(key)))
    except psycopg.errors.UniqueViolation as error:
        raise DataError(
            f'Rows for table "{table}" repeat a "{key}" ({error.diag.message_detail}): give one row per key'
        ) from error


def _csv(rows: pa.RecordBatch) -> bytes:
    """COPY's own dialect: null is nothing, an empty text is quoted."""
    sink = io.BytesIO()
    pa.csv.write_csv(rows, sink, pa.csv.WriteOptions(include_header=False))
    return sink.getvalue()
