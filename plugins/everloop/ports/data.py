"""Where rows come from, lie and go: sources, the lake, checks, features, accounts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from everloop.interval import Interval
from everloop.release import FeaturePlan
from everloop.use_case import Files, SourceTable

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True)
class Batches:
    """Rows that need not fit into memory: iterating reads them, one batch at a time, anew each time.

    At least one batch, be it empty. `num_rows` is known beforehand.
    """

    schema: pa.Schema
    num_rows: int
    read: Callable[[], Iterator[pa.RecordBatch]]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.read()

    def to_table(self) -> pa.Table:
        """All rows in memory."""
        import pyarrow as pa

        return pa.Table.from_batches(list(self), self.schema)

    @classmethod
    def of(cls, rows: pa.Table) -> Batches:
        """Rows that are in memory already."""
        import pyarrow as pa

        empty = pa.RecordBatch.from_pylist([], rows.schema)
        return cls(rows.schema, rows.num_rows, lambda: iter(rows.to_batches() or [empty]))


class Source(Protocol):
    """A system that rows are read from."""

    def extract(self, table: SourceTable, interval: Interval) -> Iterator[pa.RecordBatch]:
        """The rows of `table` in `interval` by event time, in contract order and types; memory is bounded by a batch.

        At least one batch, be it empty; each sorted by key, and the same rows in the same order every time. A small interval
        is one batch.
        Values that do not fit their contract type are kept as null with the original in column `_problem` (text, null when
        fine). Columns beyond the contract are left out and listed (JSON) in the metadata `extra_columns` of a batch's schema.
        Raises `ContractError` for a lost or unreadable column, `SourceError` when unreachable or broken off: what came before
        then counts for nothing.
        """

    def watermark(self, table: SourceTable) -> datetime | None:
        """Up to when (exclusive) the source is complete as far as anybody can tell; `None` when it is empty."""

    def changes(
        self, table: SourceTable, since: datetime | None, until: datetime, grid_origin: datetime, length: timedelta
    ) -> dict[datetime, datetime]:
        """Rows that were written in `[since, until)`, late and corrected ones among them, by the clock of the source.

        The start of the data interval of their event time (counted in `length` from `grid_origin`), to the latest such time.
        Empty for a source that cannot tell.
        """


class Lake(Protocol):
    """Versioned tables; each write replaces one interval's rows in one atomic commit."""

    def replace(self, table: str, rows: pa.Table | Batches, interval: Interval) -> int:
        """Replace the rows of `interval` by `rows` (a column `_interval`, the interval's start, is added). Returns the version.

        Equal content, in whatever order, writes nothing and returns the version that stands, so running twice leaves the table
        as it was.
        """

    def read(self, table: str, *, interval: Interval | None = None, version: int | None = None) -> pa.Table:
        """Rows of `table` (all, or one interval's), without `_interval`. An absent table is an empty one without columns."""

    def batches(self, table: str, interval: Interval) -> Batches:
        """`read` of one interval, of the latest version, for rows that need not fit into memory."""

    def schema(self, table: str) -> pa.Schema | None:
        """The table's columns, without `_interval`; `None` when it is absent."""

    def query(
        self,
        sql: str,
        tables: Mapping[str, int | None],
        parameters: Mapping[str, Any] | None = None,
        *,
        within: Interval | None = None,
    ) -> pa.Table:
        """Run DuckDB SQL over `tables` (name to version, `None` for the latest); `$name` parameters.

        `within`: the tables show the rows of those intervals alone that begin in it; no other file is opened, whatever the SQL.
        """

    def query_batches(
        self, sql: str, tables: Mapping[str, int | None], parameters: Mapping[str, Any] | None = None, *, order: str
    ) -> Iterator[pa.RecordBatch]:
        """`query`, sorted by the column `order`, for results that need not fit into memory: at least one batch, be it empty."""

    def query_rows(self, sql: str, frames: Mapping[str, pa.Table], parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """The same SQL over rows in memory."""

    def scan(self, table: str, version: int | None = None) -> pl.LazyFrame:
        """A version's rows, `_interval` among them, that nothing reads yet: columns and filters go down to the files.

        `DataError` when the table is absent.
        """

    def count(self, table: str, version: int | None = None) -> int:
        """How many rows a version has, by what the table's log says of its files; `DataError` when the table is absent."""

    def version(self, table: str) -> int | None:
        """The latest version, `None` when the table is absent."""

    def intervals(self, table: str) -> set[datetime]:
        """The starts of the intervals that were written (also the empty ones)."""

    def tables(self) -> list[str]:
        """The names of all tables, sorted."""

    def stage(self, name: str, rows: pa.Table) -> None:
        """Keep `rows` between two tasks of a run under a path-like `name`; replaces what stood there, atomically."""

    def staging(self, name: str) -> AbstractContextManager[Callable[[pa.RecordBatch], None]]:
        """`stage`, a batch at a time: the context gives what takes them, at least one; an error within keeps nothing."""

    def staged(self, name: str) -> pa.Table:
        """What `stage` or `staging` kept; `DataError` when there is nothing."""

    def staged_batches(self, name: str, columns: Sequence[str] | None = None) -> Batches:
        """`staged`, or some columns of it, for rows that need not fit into memory."""

    def unstage(self, prefix: str) -> None:
        """Forget what was staged under `prefix`."""

    def vacuum(self, keep_versions_since: datetime) -> dict[str, int]:
        """Delete files that no version since then needs; files deleted by table."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One expectation that did not hold: which, how hard, how many rows, and the positions of those rows (if row-level)."""

    expectation: str
    column: str | None
    severity: str
    text: str
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What a suite said of some rows. `severity` of a failure is `block`, `quarantine` or `warn`."""

    suite: str
    evaluated: int
    failures: tuple[Failure, ...] = ()

    @property
    def blocking(self) -> tuple[Failure, ...]:
        """The failures that stop the interval."""
        return tuple(f for f in self.failures if f.severity == "block")


class Checks(Protocol):
    """Suites of expectations, run on rows."""

    def validate(self, rows: pa.Table, suite: str, run_name: str) -> Validation:
        """Run `expectations/<use case>/<suite>.json` on `rows` and add the result to the Data Docs under `run_name`."""

    def validate_batches(self, batches: Iterable[pa.RecordBatch], suite: str, run_name: str) -> Validation:
        """`validate` for rows that need not fit into memory: one pass over `batches`, at least one of them, be it empty.

        Positions count from the first batch on; only expectations of severity `quarantine` name rows.
        """

    def suite_text(self, suite: str) -> str:
        """The suite's JSON, as a release carries it."""


class Features(Protocol):
    """The feature store: one definition for history, online and request time."""

    def apply(self) -> None:
        """Register the definitions of the feature repository (idempotent)."""

    def plan(self) -> FeaturePlan:
        """How the scorer makes a feature vector for the use case's feature service."""

    def request_functions(self) -> str:
        """The Python source of the request-time functions, as a release carries it."""

    def touched(self, interval: Interval) -> list[Interval]:
        """`interval`, and later ones with source rows in the lake whose trailing windows reach into it; oldest first."""

    def compute(self, interval: Interval, known_at: datetime | None = None, *, unseen: bool = False) -> dict[str, int]:
        """Compute every view's rows of `interval` into the lake; rows by view.

        The first time, by another definition than before, or without `known_at`, the interval's rows are replaced. Else the data
        was corrected: what stands stays, and every row that differs is added as a version `created` at `known_at` (data time; a
        row that vanished with null features), so that history before then sees what was seen then. `unseen`: nobody was
        served as of the interval's end or later; what was computed while an interval of its window was missing is then
        replaced, so that intervals may be filled in any order. Equal rows, rounding aside, add nothing.
        """

    def materialize(self, interval: Interval) -> dict[str, int]:
        """Offer `interval`'s rows to the online store, where no older event overwrites a newer one; rows changed by view."""

    def history(self, entities: pa.Table, versions: Mapping[str, int] | None = None) -> pa.Table:
        """Point-in-time join: `entities` (join keys, request fields, `event_timestamp`) plus one column per `<view>__<feature>`.

        Every entity row is kept, in order. `versions` pins the feature tables.
        """

    def online(self, entities: pa.Table) -> pa.Table:
        """The same columns for the same entities, from the online store, as of each row's `event_timestamp`."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """What came in of one table and interval, and where it went: `rows_in` = `published` + `quarantined`.

    `repaired`: how many of these rows a person has repaired. `at`: wall clock, just before the source was read. `seen`: the
    latest change that the source had told of by then, where that was shortly before.
    """

    table: str
    interval: Interval
    rows_in: int
    published: int
    quarantined: int
    repaired: int
    run: str
    at: datetime
    seen: datetime | None = None


class Accounts(Protocol):
    """The exact accounts of ingestion, and which intervals must be worked up to the online store."""

    def record(self, use_case: str, accounts: Sequence[Account]) -> None:
        """Upsert by (use case, table, interval start), all or none; one that does not add up is refused."""

    def read(
        self, use_case: str, *, intervals: Collection[Interval] | None = None, recorded_since: datetime | None = None
    ) -> list[Account]:
        """Accounts by table and interval: all, or those of `intervals`, recorded from `recorded_since` (wall clock) on."""

    def open(self, use_case: str, intervals: Collection[Interval], at: datetime, reason: str) -> None:
        """Note, at the moment `at` (wall clock), that `intervals` must be worked; a later note replaces an earlier one."""

    def opened(self, use_case: str) -> dict[Interval, str]:
        """The intervals that must be worked, oldest first, and why."""

    def close(self, use_case: str, intervals: Collection[Interval]) -> None:
        """Strike off those of `intervals` of which every table was read from its source after they were opened."""


class Destination(Protocol):
    """A business system that predictions are written back to."""

    def upsert(self, connection: str, table: str, rows: Batches, key: str) -> int:
        """Upsert `rows` by `key`, all or none, idempotently; returns the number of rows. Memory is bounded by a batch."""


class Outbox(Protocol):
    """Where predictions are laid down as files."""

    def write(self, files: Files, name: str, rows: Batches) -> str:
        """Put `rows` in place as the file `name` and the format's ending, whole or not at all, instead of what was there.

        Returns where it is. `SourceError` when the place does not take it. Memory is bounded by a batch.
        """
