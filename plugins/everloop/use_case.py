"""A use case: one prediction problem, told completely by one frozen value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from everloop.decide.policy import (
    BatchPolicy,
    CostMatrix,
    DriftPolicy,
    FairnessPolicy,
    GatePolicy,
    ParityPolicy,
    RetrainPolicy,
    RolloutPolicy,
    ServicePolicy,
    TrainingPolicy,
)
from everloop.errors import ConfigurationError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
FORMATS = ("parquet", "csv")
_SCHEDULES = (timedelta(hours=1), timedelta(days=1), timedelta(days=7))


@dataclass(frozen=True, kw_only=True)
class PostgresTable:
    """Rows of a table in a PostgreSQL database, `connection` being the name of its setting."""

    connection: str
    table: str


@dataclass(frozen=True, kw_only=True)
class DroppedFiles:
    """Files in the landing place; `pattern` is strftime's, one file a day: `weather/%Y-%m-%d.csv`, `.csv.gz` or `.parquet`."""

    pattern: str


@dataclass(frozen=True, kw_only=True)
class SourceTable:
    """One table of the lake and where its rows come from.

    `columns`: the contract, name to type (`string`, `int`, `float`, `bool`, `timestamp`). `key`: the columns that identify
    a row. `event_time`: the column by which rows belong to an interval. `suite`: `expectations/<use case>/<suite>.json`.
    `quarantine_limit`: the share of an interval's rows that may be put aside; beyond it the interval is refused, since a feed
    that broke altogether must not empty a table in silence. `changed_at`: a column of the PostgreSQL table (of the contract or
    not) that says when a row was last written; by it late and corrected rows are found. Files tell it by themselves. `reread`:
    how many of the newest published intervals every run simply reads again, for a source that cannot say what changed.
    """

    name: str
    source: PostgresTable | DroppedFiles
    columns: Mapping[str, str]
    key: tuple[str, ...]
    event_time: str
    suite: str
    may_be_empty: bool = False
    quarantine_limit: float = 0.2
    changed_at: str | None = None
    reread: int = 0


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The labelled rows to learn from, as SQL (DuckDB) over the lake's tables.

    The query gives `key` (text, one per prediction), the request's fields, `event_timestamp` (when the prediction is asked for),
    `label` (boolean, or 1 and 0) and `label_time` (when the label was known, later than that). It may use `$start` and `$end`,
    which bound `label_time`.
    """

    sql: str
    tables: tuple[str, ...]
    suite: str


@dataclass(frozen=True, kw_only=True)
class WriteBack:
    """Where predictions go back to the business: a PostgreSQL table, upserted by `key`."""

    connection: str
    table: str


@dataclass(frozen=True, kw_only=True)
class Files:
    """Predictions as files: an interval is `<place>/<use case>/interval=<start>/predictions.<format>`, whole or not at all.

    `place`: an absolute folder or `s3://bucket/prefix`; `None` for what EVERLOOP_OUTBOX says. `format`: `parquet` or `csv`.
    """

    place: str | None = None
    format: str = "parquet"

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        found = []
        if self.format not in FORMATS:
            found.append(f'Files.format is "{self.format}": use one of {list(FORMATS)}')
        if self.place is not None and not self.place.startswith(("/", "s3://")):
            found.append(
                f'Files.place is "{self.place}": give an absolute folder or s3://bucket/prefix, or None for EVERLOOP_OUTBOX'
            )
        return found


Destinations = WriteBack | Files | tuple[WriteBack | Files, ...]


@dataclass(frozen=True, kw_only=True)
class UseCase:
    """Everything that makes one loop: data, features, label, cost and policies.

    `interval` is an hour, a day or a week; intervals are counted from `start`. `end`: when the world ends (demos only).
    `feature_service`: the Feast feature service of the model. `categories`: request fields that the model takes as categories.
    `entity`: the request fields whose hash decides the arm. `slices`: name to SQL expression over request fields.
    `write_back`: where batch scores go: a `WriteBack`, `Files`, or a tuple of any number of them; `None` for the lake alone.
    `retention`: how long PostgreSQL keeps predictions and outcomes; `lake_retention`: how long the lake keeps the prediction log.
    """

    name: str
    description: str
    start: datetime
    interval: timedelta
    sources: tuple[SourceTable, ...]
    examples: Examples
    feature_service: str
    entity: tuple[str, ...]
    end: datetime | None = None
    owner: str = "everloop"
    categories: tuple[str, ...] = ()
    slices: Mapping[str, str] = field(default_factory=dict)
    feature_suite: str | None = None
    write_back: Destinations | None = None
    batch: BatchPolicy = BatchPolicy()
    cost: CostMatrix = CostMatrix()
    training: TrainingPolicy = TrainingPolicy()
    gate: GatePolicy = GatePolicy()
    fairness: FairnessPolicy = FairnessPolicy()
    rollout: RolloutPolicy = RolloutPolicy()
    drift: DriftPolicy = DriftPolicy()
    retrain: RetrainPolicy = RetrainPolicy()
    parity: ParityPolicy = ParityPolicy()
    service: ServicePolicy = ServicePolicy()
    retention: timedelta = timedelta(days=400)
    lake_retention: timedelta = timedelta(days=5 * 365)

    def __post_init__(self) -> None:
        if problems := self.problems():
            raise ConfigurationError(f'Use case "{self.name}":\n' + "\n".join(f"  - {problem}" for problem in problems))

    @property
    def cron(self) -> str:
        """The interval as a cron expression in UTC, anchored at `start`."""
        minute, hour = self.start.minute, self.start.hour
        if self.interval == timedelta(hours=1):
            return f"{minute} * * * *"
        if self.interval == timedelta(days=1):
            return f"{minute} {hour} * * *"
        return f"{minute} {hour} * * {self.start.isoweekday() % 7}"

    @property
    def tables_back(self) -> tuple[WriteBack, ...]:
        """The tables that batch scores are written back to."""
        return tuple(one for one in self._destinations if isinstance(one, WriteBack))

    @property
    def files_back(self) -> tuple[Files, ...]:
        """The files that batch scores are written as."""
        return tuple(one for one in self._destinations if isinstance(one, Files))

    @property
    def _destinations(self) -> tuple[WriteBack | Files, ...]:
        if self.write_back is None:
            return ()
        return self.write_back if isinstance(self.write_back, tuple) else (self.write_back,)

    def source(self, name: str) -> SourceTable:
        """The source table called `name`."""
        for table in self.sources:
            if table.name == name:
                return table
        raise ConfigurationError(f'Use case "{self.name}" has no table "{name}": it has {[t.name for t in self.sources]}')

    def problems(self) -> list[str]:
        """Every broken rule of this value and of all its policies, in words."""
        found = []
        if not _NAME.fullmatch(self.name):
            found.append(f'name is "{self.name}": lower-case letters, digits and _ only, starting with a letter')
        if self.start.tzinfo is None:
            found.append(f"start is {self.start}, which has no time zone: give it one, for instance UTC")
        if self.interval not in _SCHEDULES:
            found.append(f"interval is {self.interval}: it must be an hour, a day or a week")
        if self.lake_retention < self.retention:
            found.append(
                f"lake_retention is {self.lake_retention}: it must be at least retention ({self.retention}), "
                "or the lake would lose what PostgreSQL gives it again"
            )
        for table in self.sources:
            found += _source_problems(table)
        policies = (
            self.cost, self.training, self.gate, self.fairness, self.rollout, self.drift, self.retrain, self.service, self.batch,
        )  # fmt: skip
        for policy in policies:
            found += policy.problems()
        for files in self.files_back:
            found += files.problems()
        return found


def _source_problems(table: SourceTable) -> list[str]:
    found = [
        f'table "{table.name}": {what} "{column}" is not among its columns'
        for what, columns in (("key", table.key), ("event_time", (table.event_time,)))
        for column in columns
        if column not in table.columns
    ]
    known = {"string", "int", "float", "bool", "timestamp"}
    found += [
        f'table "{table.name}": column "{name}" has type "{kind}": use one of {sorted(known)}'
        for name, kind in table.columns.items()
        if kind not in known
    ]
    if not 0 <= table.quarantine_limit <= 1:
        found.append(f'table "{table.name}": quarantine_limit is {table.quarantine_limit}: it must lie in [0, 1]')
    if table.reread < 0:
        found.append(f'table "{table.name}": reread is {table.reread}: it must be 0 or more')
    return found
