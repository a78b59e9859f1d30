"""DuckDB over Arrow: SQL on rows that are already in hand, or that a dataset reads as they are needed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from everloop.adapters.lake.rows import normal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STREAM_ROWS = 100_000
"""Rows that are handed over at a time."""
STREAM_MEMORY, STREAM_THREADS = "1GB", 4
"""What a streamed query may hold: DuckDB sorts the rest on disk. It asks for some 125 MB a thread, so more threads need more."""


def run(sql: str, relations: Mapping[str, Any], parameters: Mapping[str, Any] | None = None) -> pa.Table:
    """The result of `sql` over `relations` (Arrow tables or datasets), in UTC. It sees nothing else: no files, no variables.

    `parameters` may hold more than the query names.
    """
    with _connected(relations) as connection:
        return normal(connection.sql(sql, params=_named(connection, sql, parameters or {})).to_arrow_table())


def stream(
    sql: str, relations: Mapping[str, Any], parameters: Mapping[str, Any] | None = None, *, order: str
) -> Iterator[pa.RecordBatch]:
    """`run`, sorted by the column `order`, a batch at a time, the first one empty; what memory cannot hold goes to disk."""
    ordered = f'SELECT * FROM (\n{sql.rstrip().rstrip(";")}\n) ORDER BY "{order}"'
    with (
        tempfile.TemporaryDirectory(prefix="everloop-sort-") as folder,
        _connected(relations, {"temp_directory": folder, "memory_limit": STREAM_MEMORY, "threads": STREAM_THREADS}) as connection,
    ):
        found = connection.sql(ordered, params=_named(connection, ordered, parameters or {})).to_arrow_reader(STREAM_ROWS)
        yield pa.RecordBatch.from_pylist([], normal(found.schema.empty_table()).schema)
        for batch in found:
            yield from normal(pa.Table.from_batches([batch])).to_batches()


@contextmanager
def _connected(relations: Mapping[str, Any], config: Mapping[str, Any] | None = None) -> Iterator[DuckDBPyConnection]:
    """A DuckDB of its own that sees `relations` and nothing else."""
    import duckdb

    with duckdb.connect(config=dict(config or {})) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET enable_external_access = false")
        for name, relation in relations.items():
            connection.register(name, relation)
        yield connection


def _named(connection: DuckDBPyConnection, sql: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those that the query names; DuckDB refuses any other."""
    wanted = {name for statement in connection.extract_statements(sql) for name in statement.named_parameters}
    return {name: value for name, value in parameters.items() if name in wanted}
