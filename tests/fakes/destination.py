"""A business system in memory."""

from __future__ import annotations

from typing import Any

from everloop.errors import DataError
from everloop.ports import Batches


class MemoryDestination:
    """`ports.Destination`: `tables[connection, table][key]` is a row."""

    def __init__(self) -> None:
        self.tables: dict[tuple[str, str], dict[Any, dict[str, Any]]] = {}

    def upsert(self, connection: str, table: str, batches: Batches, key: str) -> int:
        rows = batches.to_table()
        keys = rows[key].to_pylist()
        if None in keys or len(set(keys)) < len(keys):
            raise DataError(f'Rows for table "{table}" repeat a "{key}" or have no "{key}": give one row per key')
        self.tables.setdefault((connection, table), {}).update(zip(keys, rows.to_pylist(), strict=True))
        return int(rows.num_rows)

    def rows(self, connection: str, table: str) -> list[dict[str, Any]]:
        return [row for _, row in sorted(self.tables[connection, table].items())]
