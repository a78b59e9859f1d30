"""Delta tables on a folder or on S3, by delta-rs: no catalog, no JVM."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.fs
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from everloop.adapters.lake import sql as duck
from everloop.adapters.lake.files import TableFiles, table_files
from everloop.adapters.lake.rows import TIMESTAMP, fitted, normal, same
from everloop.adapters.lake.staging import Staging, open_files, place
from everloop.errors import DataError
from everloop.interval import Interval

if TYPE_CHECKING:
    import polars as pl

INTERVAL = "_interval"
EMPTY = "_intervals"
"""The table that remembers which intervals of which tables were written without rows: Delta has no empty partition."""
ATTEMPTS = 12


class DeltaLake:
    """`ports.Lake`: tables partitioned by `_interval`, each write one atomic commit of one interval.

    `uri`: a folder or `s3://bucket/prefix`. `storage_options`: delta-rs's (`AWS_ENDPOINT_URL`, ...); credentials come from the
    environment. `retention`: how long superseded versions stay readable, unless `vacuum` is told to delete them earlier.
    """

    def __init__(
        self, uri: str, storage_options: dict[str, str] | None = None, *, retention: timedelta = timedelta(days=400)
    ) -> None:
        self._uri = uri.rstrip("/")
        self._options = storage_options
        self._files = open_files(self._uri, storage_options)
        self._staging = Staging(self._files)
        # A version never changes: who asked for the number, and now reads it, need not have its log read again.
        self._pinned: dict[str, DeltaTable] = {}
        kept = f"interval {retention.days} days"
        self._properties = {"delta.logRetentionDuration": kept, "delta.deletedFileRetentionDuration": kept}

    def replace(self, table: str, rows: pa.Table, interval: Interval) -> int:
        """See `ports.Lake.replace`. Writers of different intervals all land; of one interval, the last one stays."""
        given = normal(rows)
        given = given.append_column(
            pa.field(INTERVAL, TIMESTAMP), pa.repeat(pa.scalar(interval.start, TIMESTAMP), given.num_rows)
        )
        return _until_committed(lambda: self._replace(table, given, interval.start))

    def read(self, table: str, *, interval: Interval | None = None, version: int | None = None) -> pa.Table:
        """See `ports.Lake.read`."""
        delta = self._open(table, version)
        if delta is None:
            return pa.table({})
        found = _rows(delta, interval.start if interval else None)
        return found.drop_columns([INTERVAL])

    def query(self, sql: str, tables: Mapping[str, int | None], parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """See `ports.Lake.query`. Tables are scanned, not loaded; they show `_interval` too."""
        relations = {}
        for name, version in tables.items():
            delta = self._open(name, version)
            if delta is None:
                raise DataError(f'The lake has no table "{name}" (it has {self.tables()}): ingest an interval first')
            relations[name] = delta.to_pyarrow_dataset()
        return duck.run(sql, relations, parameters)

    def query_rows(self, sql: str, frames: Mapping[str, pa.Table], parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """See `ports.Lake.query_rows`."""
        return duck.run(sql, frames, parameters)

    def scan(self, table: str, version: int | None = None) -> pl.LazyFrame:
        """See `ports.Lake.scan`. Files that the log's own statistics rule out are not opened."""
        import polars as pl

        delta = self._open(table, version)
        if delta is None:
            raise DataError(f'The lake has no table "{table}" (it has {self.tables()}): ingest an interval first')
        return pl.scan_delta(delta)

    def files(self, table: str, version: int | None = None) -> TableFiles:
        """The Parquet files that hold a table, for an engine that reads them itself; `DataError` when it is absent."""
        delta = self._open(table, version)
        if delta is None:
            raise DataError(f'The lake has no table "{table}" (it has {self.tables()}): ingest an interval first')
        return table_files(delta, table)

    def version(self, table: str) -> int | None:
        """See `ports.Lake.version`."""
        delta = self._open(table)
        if delta is None:
            return None
        self._pinned[table] = delta
        return int(delta.version())

    def intervals(self, table: str) -> set[datetime]:
        """See `ports.Lake.intervals`."""
        delta = self._open(table)
        if delta is None:
            return set()
        filled = {datetime.fromisoformat(part[INTERVAL]).replace(tzinfo=UTC) for part in delta.partitions()}
        return filled | self._marked(table)

    def tables(self) -> list[str]:
        """See `ports.Lake.tables`."""
        listed = self._files.get_file_info(pa.fs.FileSelector("", allow_not_found=True))
        names = [found.base_name for found in listed if found.type == pa.fs.FileType.Directory]
        return sorted(name for name in names if not name.startswith("_") and self._open(name) is not None)

    def stage(self, name: str, rows: pa.Table) -> None:
        """See `ports.Lake.stage`."""
        self._staging.put(name, rows)

    def staged(self, name: str) -> pa.Table:
        """See `ports.Lake.staged`; `DataError` when nothing is."""
        return self._staging.get(name)

    def staged_batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """See `ports.Lake.staged_batches`; `DataError` when nothing is."""
        return self._staging.batches(name, columns)

    def staged_uri(self, name: str) -> str:
        """The Parquet file of what is staged, for an engine that reads it itself."""
        root = self._uri if "://" in self._uri else str(Path(self._uri).absolute())
        return f"{root}/{place(name)}.parquet"

    def unstage(self, prefix: str) -> None:
        """See `ports.Lake.unstage`."""
        self._staging.remove(prefix)

    def vacuum(self, keep_versions_since: datetime) -> dict[str, int]:
        """See `ports.Lake.vacuum`. Files staged before then are deleted too."""
        hours = max(0, math.ceil((datetime.now(UTC) - keep_versions_since) / timedelta(hours=1)))
        deleted = {}
        for name in [*self.tables(), EMPTY]:
            if (delta := self._open(name)) is not None:
                if name == EMPTY:
                    delta.optimize.compact()
                gone = delta.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True)
                deleted[name] = len(gone)
        self._staging.expire(keep_versions_since)
        return deleted

    def _open(self, table: str, version: int | None = None) -> DeltaTable | None:
        pinned = self._pinned.get(table)
        if pinned is not None and pinned.version() == version:
            return pinned
        with suppress(TableNotFoundError):
            return DeltaTable(f"{self._uri}/{table}", version=version, storage_options=self._options)
        return None

    def _replace(self, table: str, rows: pa.Table, start: datetime) -> int:
        delta = self._open(table) or self._create(table, rows.schema)
        rows = fitted(rows, table, _schema(delta))
        standing = _count(delta, start)
        if rows.num_rows == 0:
            # The mark goes first: a stop in between leaves an interval that was written before and is written still.
            self._mark(table, start)
            if standing:
                delta.delete(_at(start))
        elif standing != rows.num_rows or not same(_rows(delta, start, rows.column_names), rows):
            write_deltalake(delta, rows, mode="overwrite", predicate=_at(start), schema_mode="merge")
        return int(delta.version())

    def _create(self, table: str, schema: pa.Schema) -> DeltaTable:
        fitted(schema.empty_table(), table, schema)
        return DeltaTable.create(
            f"{self._uri}/{table}",
            schema,
            mode="ignore",
            partition_by=[INTERVAL],
            configuration=self._properties,
            storage_options=self._options,
        )

    def _mark(self, table: str, start: datetime) -> None:
        if start not in self._marked(table):
            marks = pa.table({"table": [table], "interval": pa.array([start], TIMESTAMP)})
            write_deltalake(f"{self._uri}/{EMPTY}", marks, mode="append", storage_options=self._options)

    def _marked(self, table: str) -> set[datetime]:
        marks = self._open(EMPTY)
        if marks is None:
            return set()
        found = marks.to_pyarrow_dataset().to_table(columns=["interval"], filter=pc.field("table") == table)
        return {moment.astimezone(UTC) for moment in found["interval"].to_pylist()}


def _until_committed(write: Callable[[], int]) -> int:
    """`write`, again after every lost race for a commit: Delta's concurrency is optimistic, and each attempt reads afresh."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return write()
        except DeltaError as error:
            if attempt == ATTEMPTS or not _lost_race(error):
                raise
            time.sleep(random.uniform(0, 0.05 * 2 ** min(attempt, 6)))  # noqa: S311, not a secret
    raise AssertionError("unreachable")


def _lost_race(error: DeltaError) -> bool:
    return isinstance(error, CommitFailedError) or "already exists" in str(error).lower()


def _at(start: datetime) -> str:
    return f"{INTERVAL} = '{start:%Y-%m-%dT%H:%M:%S.%fZ}'"


def _schema(delta: DeltaTable) -> pa.Schema:
    return delta.to_pyarrow_dataset().schema


def _count(delta: DeltaTable, start: datetime) -> int:
    """Rows of one interval by the log alone, without opening a data file."""
    files = pa.table(delta.get_add_actions(flatten=True))
    if files.num_rows == 0:
        return 0
    mine = files.filter(pc.equal(files[f"partition.{INTERVAL}"].cast(TIMESTAMP), pa.scalar(start, TIMESTAMP)))
    return int(pc.sum(mine["num_records"]).as_py() or 0)


def _rows(delta: DeltaTable, start: datetime | None, columns: list[str] | None = None) -> pa.Table:
    chosen = None if start is None else pc.field(INTERVAL) == pa.scalar(start, TIMESTAMP)
    dataset = delta.to_pyarrow_dataset()
    known = None if columns is None else [name for name in columns if name in dataset.schema.names]
    return normal(dataset.to_table(columns=known, filter=chosen))
