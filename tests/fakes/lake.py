"""A lake in memory: the same rows, versions and SQL, gone when the process ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import polars as pl
import pyarrow as pa

from everloop.adapters.lake import sql as duck
from everloop.adapters.lake.rows import TIMESTAMP, fitted, normal, same
from everloop.errors import DataError
from everloop.interval import Interval
from everloop.ports import Batches

Parts = dict[datetime, pa.Table]


class MemoryLake:
    """`ports.Lake` kept in dictionaries: each version of a table maps an interval's start to its rows."""

    def __init__(self) -> None:
        self._versions: dict[str, list[Parts]] = {}
        self._staged: dict[str, pa.Table] = {}

    def replace(self, table: str, rows: pa.Table | Batches, interval: Interval) -> int:
        given = normal(rows.to_table() if isinstance(rows, Batches) else rows)
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

    def batches(self, table: str, interval: Interval) -> Batches:
        return Batches.of(self.read(table, interval=interval))

    def schema(self, table: str) -> pa.Schema | None:
        return self.read(table).schema if table in self._versions else None

    def query(
        self,
        sql: str,
        tables: Mapping[str, int | None],
        parameters: Mapping[str, Any] | None = None,
        *,
        within: Interval | None = None,
    ) -> pa.Table:
        return duck.run(sql, self._shown(tables, within), parameters)

    def query_batches(
        self, sql: str, tables: Mapping[str, int | None], parameters: Mapping[str, Any] | None = None, *, order: str
    ) -> Iterator[pa.RecordBatch]:
        return duck.stream(sql, self._shown(tables), parameters, order=order)

    def query_rows(self, sql: str, frames: Mapping[str, pa.Table], parameters: Mapping[str, Any] | None = None) -> pa.Table:
        return duck.run(sql, frames, parameters)

    def scan(self, table: str, version: int | None = None) -> pl.LazyFrame:
        if table not in self._versions:
            raise DataError(f'The lake has no table "{table}" (it has {self.tables()}): ingest an interval first')
        return pl.DataFrame(pl.from_arrow(self._with_interval(table, version))).lazy()

    def count(self, table: str, version: int | None = None) -> int:
        return int(self.scan(table, version).collect().height)

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

    @contextmanager
    def staging(self, name: str) -> Iterator[Callable[[pa.RecordBatch], None]]:
        batches: list[pa.RecordBatch] = []
        yield batches.append
        self._staged[name] = pa.Table.from_batches(batches, batches[0].schema)

    def staged_batches(self, name: str, columns: Sequence[str] | None = None) -> Batches:
        rows = self.staged(name)
        return Batches.of(rows if columns is None else rows.select(list(columns)))

    def unstage(self, prefix: str) -> None:
        self._staged = {n: rows for n, rows in self._staged.items() if n != prefix and not n.startswith(f"{prefix}/")}

    def vacuum(self, keep_versions_since: datetime) -> dict[str, int]:
        return dict.fromkeys(self._versions, 0)

    def _shown(self, tables: Mapping[str, int | None], within: Interval | None = None) -> dict[str, pa.Table]:
        if absent := [name for name in tables if name not in self._versions]:
            raise DataError(f'The lake has no table "{absent[0]}" (it has {self.tables()}): ingest an interval first')
        return {name: self._with_interval(name, version, within) for name, version in tables.items()}

    def _parts(self, table: str, version: int | None) -> Parts:
        return self._versions[table][-1 if version is None else version]

    def _with_interval(self, table: str, version: int | None, within: Interval | None = None) -> pa.Table:
        every = sorted(self._parts(table, version).items())
        parts = [rows.append_column("_interval", pa.repeat(pa.scalar(start, TIMESTAMP), rows.num_rows)) for start, rows in every]
        chosen = [part for part, (start, _) in zip(parts, every, strict=True) if within is None or within.holds(start)]
        return pa.concat_tables(chosen or [part.slice(0, 0) for part in parts], promote_options="default")
