"""A small world of late, corrected and broken rows: readings of two days and more, in memory; days are intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from everloop.interval import Interval
from everloop.steps import accounting, ingest, late
from everloop.use_case import DroppedFiles, Examples, SourceTable, UseCase
from fakes.accounts import InMemoryAccounts
from fakes.checks import MemoryChecks, Rule
from fakes.lake import MemoryLake
from fakes.ledger import InMemoryLedger
from fakes.measurements import InMemoryMeasurements
from fakes.source import MemorySource

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
START = datetime(2013, 1, 1, tzinfo=UTC)
DAYS = [Interval(START + n * DAY, START + (n + 1) * DAY) for n in range(5)]
NOW = START + 10 * DAY
"""When the first run reads; each later one an hour after the one before."""
READINGS = SourceTable(
    name="readings",
    source=DroppedFiles(pattern="%Y-%m-%d.csv"),
    columns={"id": "int", "level": "float", "at": "timestamp"},
    key=("id",),
    event_time="at",
    suite="readings",
    quarantine_limit=0.9,
)
QUIET = SourceTable(
    name="quiet",
    source=DroppedFiles(pattern="quiet/%Y-%m-%d.csv"),
    columns={"id": "int", "at": "timestamp"},
    key=("id",),
    event_time="at",
    suite="quiet",
    may_be_empty=True,
)
TIDES = UseCase(
    name="tides",
    description="",
    start=START,
    interval=DAY,
    sources=(READINGS, QUIET),
    examples=Examples(sql="", tables=("readings",), suite="training_set"),
    feature_service="tides",
    entity=("id",),
)
RULES = {
    "readings": [
        Rule("low", "level", "quarantine", lambda value: value <= 100),
        Rule("sane", "level", "block", lambda value: value <= 1000),
    ],
    "quiet": [],
}


def row(id: int, day: int, level: str | None = "1.0") -> dict[str, str | None]:  # noqa: A002, a column
    """A reading of `day`, as text."""
    return {"id": str(id), "level": level, "at": (START + day * DAY + id % 24 * HOUR).isoformat()}


class NoFeatures:
    """`ports.Features` of a use case that has none."""

    def touched(self, interval: Interval) -> list[Interval]:
        return [interval]

    def materialize(self, interval: Interval) -> dict[str, int]:
        return {}


class World:
    """The ports of ingestion, a clock, and whole runs of it."""

    def __init__(self, use_case: UseCase = TIDES) -> None:
        self.use_case, self.now, self.rows = use_case, NOW, list[Mapping[str, str | None]]()
        self.source, self.lake, self.checks = MemorySource(), MemoryLake(), MemoryChecks(RULES)
        self.accounts, self.measurements, self.ledger = InMemoryAccounts(), InMemoryMeasurements(), InMemoryLedger()

    def hold(self, *rows: Mapping[str, str | None], days: int = 2) -> None:
        """The source now holds these readings, and no others."""
        self.source = MemorySource()
        self.source.put("readings", rows, START + days * DAY)
        self.source.put("quiet", [], START + days * DAY)

    def pending(self) -> list[Interval]:
        return late.pending(self.source, self.lake, self.measurements, self.accounts, self.use_case, now=self.now)

    def ingest(self, intervals: Sequence[Interval] | None = None, run: str = "run") -> list[Interval]:
        """A whole run on `intervals`, by default on what is pending; an hour goes by."""
        self.now += HOUR
        worked = self.pending() if intervals is None else list(intervals)
        self.publish(worked, run)
        accounting.materialize(NoFeatures(), self.accounts, self.use_case, worked)  # type: ignore[arg-type]
        return worked

    def publish(self, worked: Sequence[Interval], run: str = "run") -> dict[str, Any]:
        """A run as far as the lake."""
        accounting.extract(self.source, self.lake, self.use_case, worked, run, now=self.now)
        ingest.validate(self.checks, self.lake, self.use_case, worked, run)
        return accounting.publish(self.lake, self.accounts, self.use_case, worked, run)

    def levels(self) -> dict[int, float]:
        """What is published."""
        return {row["id"]: row["level"] for row in self.lake.read("readings").to_pylist()}

    def reasons(self) -> dict[int, list[str]]:
        """What is in quarantine, and why."""
        return {row["id"]: row["_expectations"] for row in self.lake.read("readings_quarantine").to_pylist()}
