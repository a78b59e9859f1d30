"""Delta tables on a folder or on S3, by delta-rs: no catalog, no JVM."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from everloop.adapters.lake import sql as duck
from everloop.adapters.lake import streamed
from everloop.adapters.lake.dataset import INTERVAL, added, dataset, schema
from everloop.adapters.lake.files import TableFiles, table_files
from everloop.adapters.lake.rows import TIMESTAMP, digest, fitted, normal, same
from everloop.adapters.lake.staging import Staging, open_files, place
from everloop.errors import DataError
from everloop.interval import Interval
from everloop.ports import Batches

if TYPE_CHECKING:
    import polars as pl

EMPTY = "_intervals"
"""The table that remembers which intervals of which tables were written without rows: Delta has no empty partition.

It is partitioned by both, so that its log alone tells them, however many there are.
"""
ATTEMPTS = 12
CHECKPOINT_EVERY = "10"
"""Commits between two checkpoints of a log. A reader starts at the last one: with 60 commits to replay opening took 60 ms, with
none 10; a checkpoint costs 5 ms. Delta's own default is 100."""
PARTITION = pa.field(INTERVAL, TIMESTAMP)
HELD_ROWS = 500_000
"""Batches of no more rows are written from memory: 0.2 GB with ten columns, delta-rs's own buffers included."""


class DeltaLake:
    """`ports.Lake`: tables partitioned by `_interval`, each write one atomic commit of one interval.

    `uri`: a folder or `s3://bucket/prefix`. `storage_options`: delta-rs's (`AWS_ENDPOINT_URL`, ...); credentials come from the
    environment. `retention`: how long superseded versions stay readable, unless `vacuum` is told to delete them earlier.
    `held_rows`: how many rows of `Batches` are held at once; `file_rows`: how many a data file has of those that are not.
    """

    def __init__(
        self,
        uri: str,
        storage_options: dict[str, str] | None = None,
        *,
        retention: timedelta = timedelta(days=400),
        held_rows: int = HELD_ROWS,
        file_rows: int = streamed.FILE_ROWS,
    ) -> None:
        self._uri = uri.rstrip("/")
        self._options = storage_options
        self._held_rows, self._file_rows = held_rows, file_rows
        self._files = open_files(self._uri, storage_options)
        self._staging = Staging(self._files)
        # The latest version of each table that was opened, never written through; opened again once there is a newer one.
        self._held: dict[str, DeltaTable] = {}
        kept = f"interval {retention.days} days"
        self._properties = {
            "delta.checkpointInterval": CHECKPOINT_EVERY,
            "delta.logRetentionDuration": kept,
            "delta.deletedFileRetentionDuration": kept,
        }

    def replace(self, table: str, rows: pa.Table | Batches, interval: Interval) -> int:
        """See `ports.Lake.replace`. Writers of different intervals all land; of one interval, the last one stays."""
        if isinstance(rows, Batches):
            if rows.num_rows > self._held_rows:
                return self._replace_streaming(table, rows, interval)
            rows = rows.to_table()
        # In one piece: delta-rs writes several of them at once and in any order, and sorted rows are to stay sorted.
        given = normal(rows).combine_chunks()
        given = given.append_column(PARTITION, pa.repeat(pa.scalar(interval.start, TIMESTAMP), given.num_rows))
        return _until_committed(lambda: self._replace(table, given, interval))

    def read(self, table: str, *, interval: Interval | None = None, version: int | None = None) -> pa.Table:
        """See `ports.Lake.read`."""
        delta = self._open(table, version)
        if delta is None:
            return pa.table({})
        found = self._rows(delta, table, interval)
        return found.drop_columns([INTERVAL])

    def batches(self, table: str, interval: Interval) -> Batches:
        """See `ports.Lake.batches`."""
        delta = self._open(table)
        if delta is None:
            return Batches.of(pa.table({}))
        columns = [name for name in schema(delta).names if name != INTERVAL]
        return self._batches(delta, table, interval, columns)

    def schema(self, table: str) -> pa.Schema | None:
        """See `ports.Lake.schema`."""
        delta = self._open(table)
        return None if delta is None else pa.schema([field for field in schema(delta) if field.name != INTERVAL])

    def query(
        self,
        sql: str,
        tables: Mapping[str, int | None],
        parameters: Mapping[str, Any] | None = None,
        *,
        within: Interval | None = None,
    ) -> pa.Table:
        """See `ports.Lake.query`. Tables are scanned, not loaded; they show `_interval` too."""
        return duck.run(sql, self._relations(tables, within), parameters)

    def query_batches(
        self, sql: str, tables: Mapping[str, int | None], parameters: Mapping[str, Any] | None = None, *, order: str
    ) -> Iterator[pa.RecordBatch]:
        """See `ports.Lake.query_batches`."""
        return duck.stream(sql, self._relations(tables), parameters, order=order)

    def query_rows(self, sql: str, frames: Mapping[str, pa.Table], parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """See `ports.Lake.query_rows`."""
        return duck.run(sql, frames, parameters)

    def scan(self, table: str, version: int | None = None) -> pl.LazyFrame:
        """See `ports.Lake.scan`. Files that the log's own statistics rule out are not opened."""
        import polars as pl

        return pl.scan_delta(self._known(table, version))

    def count(self, table: str, version: int | None = None) -> int:
        """See `ports.Lake.count`."""
        return _count(self._known(table, version))

    def files(self, table: str, version: int | None = None) -> TableFiles:
        """The Parquet files that hold a table, for an engine that reads them itself; `DataError` when it is absent."""
        return table_files(self._known(table, version), table)

    def version(self, table: str) -> int | None:
        """See `ports.Lake.version`."""
        delta = self._open(table)
        return None if delta is None else int(delta.version())

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

    def staging(self, name: str) -> AbstractContextManager[Callable[[pa.RecordBatch], None]]:
        """See `ports.Lake.staging`."""
        return self._staging.writing(name)

    def staged(self, name: str) -> pa.Table:
        """See `ports.Lake.staged`."""
        return self._staging.get(name)

    def staged_batches(self, name: str, columns: Sequence[str] | None = None) -> Batches:
        """See `ports.Lake.staged_batches`."""
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
                gone = delta.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True)
                deleted[name] = len(gone)
        self._staging.expire(keep_versions_since)
        return deleted

    def _relations(self, tables: Mapping[str, int | None], within: Interval | None = None) -> dict[str, Any]:
        return {name: dataset(self._known(name, version), self._files, name, within) for name, version in tables.items()}

    def _known(self, table: str, version: int | None = None) -> DeltaTable:
        if (delta := self._open(table, version)) is None:
            raise DataError(f'The lake has no table "{table}" (it has {self.tables()}): ingest an interval first')
        return delta

    def _open(self, table: str, version: int | None = None) -> DeltaTable | None:
        held = self._held.get(table)
        if held is not None and (held.version() == version or (version is None and self._is_latest(held, table))):
            return held
        opened = self._load(table, version)
        if opened is not None and version is None:
            self._held[table] = opened
        return opened

    def _load(self, table: str, version: int | None = None) -> DeltaTable | None:
        with suppress(TableNotFoundError):
            return DeltaTable(f"{self._uri}/{table}", version=version, storage_options=self._options)
        return None

    def _is_latest(self, delta: DeltaTable, table: str) -> bool:
        """Whether the commit after that of `delta` is not there: versions have no gaps."""
        following = f"{table}/_delta_log/{delta.version() + 1:020d}.json"
        return bool(self._files.get_file_info(following).type == pa.fs.FileType.NotFound)

    def _replace(self, table: str, rows: pa.Table, interval: Interval) -> int:
        delta = self._load(table) or self._create(table, rows.schema)
        rows, at = fitted(rows, table, schema(delta)), _at(interval.start)
        standing = _count(delta, _beginning(interval))
        if rows.num_rows == 0:
            # The mark goes first: a stop in between leaves an interval that was written before and is written still.
            self._mark(table, interval.start)
            if standing:
                delta.delete(at)
        elif standing != rows.num_rows or not same(self._rows(delta, table, interval, rows.column_names), rows):
            write_deltalake(delta, rows, mode="overwrite", predicate=at, schema_mode="merge")
        return int(delta.version())

    def _replace_streaming(self, table: str, rows: Batches, interval: Interval) -> int:
        """The files are written once, whatever races for the commit are lost."""
        delta = self._load(table) or self._create(table, normal(rows.schema.empty_table()).schema.append(PARTITION))
        given = streamed.fitting(rows, table, schema(delta))
        if _count(delta, _beginning(interval)) == rows.num_rows:
            known = [name for name in given.schema.names if name in schema(delta).names]
            standing = self._batches(delta, table, interval, known)
            if known == given.schema.names and digest(standing, known) == digest(given, known):
                return int(delta.version())
        actions = streamed.written(self._files, table, (INTERVAL, interval.start), given, self._file_rows)
        return _until_committed(lambda: streamed.commit(self._load(table), INTERVAL, actions, given.schema))

    def _batches(self, delta: DeltaTable, table: str, interval: Interval, columns: list[str]) -> Batches:
        """One interval's rows, without reading ahead more than a batch."""
        found = dataset(delta, self._files, table, _beginning(interval))
        kinds = normal(pa.schema([found.schema.field(name) for name in columns]).empty_table()).schema

        def read() -> Iterator[pa.RecordBatch]:
            some = False
            for batch in found.to_batches(columns=columns, batch_readahead=1, fragment_readahead=1):
                for one in normal(pa.Table.from_batches([batch])).to_batches():
                    some = True
                    yield one
            if not some:
                yield pa.RecordBatch.from_pylist([], kinds)

        return Batches(kinds, _count(delta, _beginning(interval)), read)

    def _rows(
        self, delta: DeltaTable, table: str, interval: Interval | None = None, columns: list[str] | None = None
    ) -> pa.Table:
        found = dataset(delta, self._files, table, interval and _beginning(interval))
        known = None if columns is None else [name for name in columns if name in found.schema.names]
        return normal(found.to_table(columns=known))

    def _create(self, table: str, columns: pa.Schema) -> DeltaTable:
        fitted(columns.empty_table(), table, columns)
        return DeltaTable.create(
            f"{self._uri}/{table}",
            columns,
            mode="ignore",
            partition_by=[INTERVAL],
            configuration=self._properties,
            storage_options=self._options,
        )

    def _mark(self, table: str, start: datetime) -> None:
        if start not in self._marked(table):
            marks = pa.table({"table": [table], "interval": pa.array([start], TIMESTAMP), "empty": [True]})
            write_deltalake(
                f"{self._uri}/{EMPTY}",
                marks,
                mode="append",
                partition_by=["table", "interval"],
                configuration=self._properties,
                storage_options=self._options,
            )

    def _marked(self, table: str) -> set[datetime]:
        marks = self._open(EMPTY)
        if marks is None:
            return set()
        of_table = [part for part in marks.partitions() if part["table"] == table]
        return {datetime.fromisoformat(part["interval"]).replace(tzinfo=UTC) for part in of_table}


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


def _count(delta: DeltaTable, within: Interval | None = None) -> int:
    """Rows by the log alone, without opening a data file."""
    mine = added(delta, within)
    return int(pc.sum(mine["num_records"]).as_py() or 0) if mine.num_rows else 0


def _beginning(interval: Interval) -> Interval:
    """Holds the start of `interval` and of no other: one interval's rows are those of its start, whatever its length."""
    return Interval(interval.start, interval.start + timedelta(microseconds=1))
