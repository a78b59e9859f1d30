"""A lake in memory: the same rows, versions and SQL, gone when the process ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl
import pyarrow as pa

from everloop.adapters.lake import sql as duck
from everloop.adapters.lake.rows import TIMESTAMP, fitted, normal, same
from everloop.errors import DataError
from everloop.interval import Interval

Parts = dict[datetime, pa.Table]


class MemoryLake:
    """`ports.Lake` kept in dictionaries: each version of a table maps an interval's start to its rows."""

    def __init__(self) -> None:
        self._versions: dict[str, list[Parts]] = {}
        self._staged: dict[str, pa.Table] = {}

    def replace(self, table: str, rows: pa.Table, interval: Interval) -> int:
        given = normal(rows)
        versions = self._versions.setdefault(table, [{}])
        stored = next(iter(versions[-1].values()), given).schema
        given = fitted(given, table, stored)
        standing = versions[-1].get(interval.start)
        if standing is None or not same(standing, given):
            versions.append({**versions[-1], interval.start: given})
        return len(versions) - 1

    def read(self, table: str, *, interval: Interval | None = None, version: int | None = None) -> pa.Table:
        if table not in self._versions:
            return pa.table({})
        parts = self._parts(table, version)
        chosen = [rows for start, rows in sorted(parts.items()) if interval is None or start == interval.start]
        return pa.concat_tables(chosen or [rows.slice(0, 0) for rows in parts.values()], promote_options="default")

    def query(self, sql: str, tables: Mapping[str, int | None], parameters: Mapping[str, Any] | None = None) -> pa.Table:
        if absent := [name for name in tables if name not in self._versions]:
            raise DataError(f'The lake has no table "{absent[0]}" (it has {self.tables()}): ingest an interval first')
        return duck.run(sql, {name: self._with_interval(name, version) for name, version in tables.items()}, parameters)

    def query_rows(self, sql: str, frames: Mapping[str, pa.Table], parameters: Mapping[str, Any] | None = None) -> pa.Table:
        return duck.run(sql, frames, parameters)

    def scan(self, table: str, version: int | None = None) -> pl.LazyFrame:
        if table not in self._versions:
            raise DataError(f'The lake has no table "{table}" (it has {self.tables()}): ingest an interval first')
        return pl.DataFrame(pl.from_arrow(self._with_interval(table, version))).lazy()

    def version(self, table: str) -> int | None:
        return len(self._versions[table]) - 1 if table in self._versions else None

    def intervals(self, table: str) -> set[datetime]:
        return set(self._parts(table, None)) if table in self._versions else set()

    def tables(self) -> list[str]:
        return sorted(self._versions)

    def stage(self, name: str, rows: pa.Table) -> None:
        self._staged[name] = rows

    def staged(self, name: str) -> pa.Table:
        if name not in self._staged:
            raise DataError(f'Nothing is staged under "{name}": clear the run from its first task on')
        return self._staged[name]

    def staged_batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        return iter(self.staged(name).select(list(columns)).to_batches())

    def unstage(self, prefix: str) -> None:
        self._staged = {n: rows for n, rows in self._staged.items() if n != prefix and not n.startswith(f"{prefix}/")}

    def vacuum(self, keep_versions_since: datetime) -> dict[str, int]:
        return dict.fromkeys(self._versions, 0)

    def _parts(self, table: str, version: int | None) -> Parts:
        return self._versions[table][-1 if version is None else version]

    def _with_interval(self, table: str, version: int | None) -> pa.Table:
        parts = [
            rows.append_column("_interval", pa.repeat(pa.scalar(start, TIMESTAMP), rows.num_rows))
            for start, rows in sorted(self._parts(table, version).items())
        ]
        return pa.concat_tables(parts, promote_options="default")
