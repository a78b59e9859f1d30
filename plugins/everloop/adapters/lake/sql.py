"""DuckDB over Arrow: SQL on rows that are already in hand, or that a dataset reads as they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from everloop.adapters.lake.rows import normal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def run(sql: str, relations: Mapping[str, Any], parameters: Mapping[str, Any] | None = None) -> pa.Table:
    """The result of `sql` over `relations` (Arrow tables or datasets), in UTC. It sees nothing else: no files, no variables.

    `parameters` may hold more than the query names.
    """
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET enable_external_access = false")
        for name, relation in relations.items():
            connection.register(name, relation)
        return normal(connection.sql(sql, params=_named(connection, sql, parameters or {})).to_arrow_table())


def _named(connection: DuckDBPyConnection, sql: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those that the query names; DuckDB refuses any other."""
    wanted = {name for statement in connection.extract_statements(sql) for name in statement.named_parameters}
    return {name: value for name, value in parameters.items() if name in wanted}
