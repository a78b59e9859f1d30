"""Ingestion: what is planned, put aside, refused, published; twice, and after being killed anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from everloop.errors import ContractError, DataError, EverloopError, SourceError
from everloop.interval import Interval
from everloop.steps import ingest
from everloop.use_case import DroppedFiles, Examples, SourceTable, UseCase
from fakes.checks import MemoryChecks, Rule
from fakes.lake import MemoryLake
from fakes.source import MemorySource

DAY = timedelta(days=1)
START = datetime(2013, 1, 1, tzinfo=UTC)
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
DAYS = [Interval(START + n * DAY, START + (n + 1) * DAY) for n in range(5)]
TABLE = SourceTable(
    name="readings",
    source=DroppedFiles(pattern="%Y-%m-%d.csv"),
    columns={"id": "int", "level": "float", "at": "timestamp"},
    key=("id",),
    event_time="at",
    suite="readings",
    quarantine_limit=0.5,
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
USE_CASE = UseCase(
    name="tides",
    description="",
    start=START,
    end=START + 4 * DAY,
    interval=DAY,
    sources=(TABLE, QUIET),
    examples=Examples(sql="", tables=("readings",), suite="training_set"),
    feature_service="tides",
    entity=("id",),
)
RULES = {
    "readings": [
        Rule("low", "level", "quarantine", lambda value: value <= 100),
        Rule("sane", "level", "block", lambda value: value <= 1000),
        Rule("usual", "level", "warn", lambda value: value <= 50),
    ],
    "quiet": [],
}


def row(id: int, day: int, level: str | None = "1.0", at: str | None = None) -> dict[str, str | None]:  # noqa: A002, a column
    return {"id": str(id), "level": level, "at": at or (START + day * DAY + timedelta(hours=id % 24)).isoformat()}


class World:
    """The ports of one use case, and a run of ingestion."""

    def __init__(self) -> None:
        self.source, self.lake, self.checks = MemorySource(), MemoryLake(), MemoryChecks(RULES)

    def put(self, *rows: Mapping[str, str | None], days: int = 1) -> None:
        self.source.put("readings", rows, START + days * DAY)
        self.source.put("quiet", [], START + days * DAY)

    def pending(self, now: datetime = NEVER) -> list[Interval]:
        return ingest.pending(self.source, self.lake, USE_CASE, now=now)

    def extract(self, *days: Interval, run: str = "run") -> dict[str, Any]:
        return ingest.extract(self.source, self.lake, USE_CASE, days, run)

    def validate(self, *days: Interval, run: str = "run") -> dict[str, Any]:
        return ingest.validate(self.checks, self.lake, USE_CASE, days, run)

    def publish(self, *days: Interval, run: str = "run") -> dict[str, Any]:
        return ingest.publish(self.lake, USE_CASE, days, run)

    def ingest(self, *days: Interval, run: str = "run") -> dict[str, Any]:
        self.extract(*days, run=run)
        self.validate(*days, run=run)
        return self.publish(*days, run=run)

    def contents(self) -> dict[str, Any]:
        return {name: (self.lake.version(name), self.lake.read(name).to_pylist()) for name in self.lake.tables()}


@pytest.fixture
def world() -> World:
    return World()


def reasons(world: World) -> dict[int, list[str]]:
    return {r["id"]: r["_expectations"] for r in world.lake.read("readings_quarantine").to_pylist()}


def test_nothing_is_pending_while_a_source_has_never_answered(world: World) -> None:
    world.source.put("readings", [row(1, 0)], START + DAY)
    assert world.pending() == []


def test_an_interval_is_pending_when_every_source_has_reached_its_end(world: World) -> None:
    world.put(row(1, 0), days=3)
    world.source.put("quiet", [], START + 2 * DAY - timedelta(seconds=1))
    assert world.pending() == DAYS[:1]


def test_pending_ends_with_the_world_and_with_now(world: World) -> None:
    world.put(row(1, 0), days=5)
    assert world.pending() == DAYS[:4]
    assert world.pending(now=START + 2 * DAY + timedelta(hours=3)) == DAYS[:2]


def test_pending_leaves_out_what_all_tables_hold_and_keeps_what_one_lacks(world: World) -> None:
    world.put(*(row(n, n) for n in range(3)), days=3)
    world.ingest(DAYS[1])
    assert world.pending() == [DAYS[0], DAYS[2]]
    world.lake.replace("readings", pa.table({"id": pa.array([0])}), DAYS[0])
    assert world.pending() == [DAYS[0], DAYS[2]]


def test_good_rows_are_published_and_empty_intervals_remembered(world: World) -> None:
    world.put(row(1, 0), row(2, 0, level=None), row(30, 1), days=2)
    report = world.ingest(*DAYS[:2])
    assert report["published"]["readings"] == {"2013-01-01T0000": 2, "2013-01-02T0000": 1}
    assert world.lake.read("readings")["id"].to_pylist() == [1, 2, 30]
    assert world.lake.read("readings").column_names == ["id", "level", "at"]
    assert world.lake.intervals("quiet") == {DAYS[0].start, DAYS[1].start}
    assert "readings_quarantine" not in world.lake.tables()


def test_bad_rows_are_put_aside_with_every_rule_they_broke_and_the_run(world: World) -> None:
    world.put(*(row(n, 0) for n in range(1, 7)), row(7, 0, level="500"), row(8, 0, level="high"), row(1, 0, level="9"))
    report = world.ingest(DAYS[0])
    assert reasons(world) == {
        7: ["low(level)"],
        8: ["contract(level: 'high' is not of type float)"],
        1: ["unique_key(id)"],
    }
    assert world.lake.read("readings")["level"].to_pylist() == [1.0] * 6
    assert set(world.lake.read("readings_quarantine")["_run"].to_pylist()) == {"run"}
    assert report["quarantined"]["readings"] == {"2013-01-01T0000": 3}


def test_rows_in_are_rows_published_plus_rows_put_aside(world: World) -> None:
    world.put(*(row(n, 0, level="500" if n % 3 == 0 else "1") for n in range(1, 24)))
    came = world.extract(DAYS[0])["rows"]["readings"]["2013-01-01T0000"]
    world.validate(DAYS[0])
    report = world.publish(DAYS[0])
    assert came == 23 == sum(report[kind]["readings"]["2013-01-01T0000"] for kind in ("published", "quarantined"))


class Straying(MemorySource):
    """A source that gives rows of the day after, too."""

    def extract(self, table: SourceTable, interval: Interval) -> Iterator[pa.RecordBatch]:
        return super().extract(table, Interval(interval.start, interval.end + DAY))


def test_rows_outside_their_interval_are_put_aside(world: World) -> None:
    world.source = Straying()
    world.put(row(1, 0), row(2, 0), row(3, 1), days=1)
    world.ingest(DAYS[0])
    assert reasons(world) == {3: ["within_interval(at)"]}


def test_warnings_are_reported_and_change_nothing(world: World) -> None:
    world.put(row(1, 0, level="60"), {**row(2, 0)})
    world.extract(DAYS[0])
    report = world.validate(DAYS[0])
    assert report["warnings"] == ["readings 2013-01-01T0000: usual(level) is broken by 1 of 2 rows"]
    assert report["broken"]["readings"] == {}
    assert report["good"]["readings"] == {"2013-01-01T0000": 2}


def test_columns_beyond_the_contract_are_reported(world: World) -> None:
    world.put({**row(1, 0), "mood": "fine"})
    assert world.extract(DAYS[0])["warnings"] == ["readings 2013-01-01T0000: columns beyond the contract were left out: mood"]


def refusal(world: World, *rows: Mapping[str, str | None]) -> str:
    world.put(*rows)
    world.extract(DAYS[0])
    with pytest.raises(DataError) as error:
        world.validate(DAYS[0])
    assert world.lake.tables() == []
    return str(error.value)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], 'Table "readings", interval [2013-01-01T00:00Z, 2013-01-02T00:00Z): the source gave no row'),
        ([row(1, 0, level="5000"), row(2, 0), row(3, 0)], "sane(level) is broken by 1 of 3 rows"),
        ([row(1, 0, level="x"), row(2, 0, level="x"), row(3, 0)], "2 of 3 rows would be quarantined, more than the limit of 50%"),
    ],
)
def test_an_interval_is_refused_whole(world: World, rows: Sequence[Mapping[str, str | None]], told: str) -> None:
    assert told in refusal(world, *rows)


def test_all_refusals_are_told_together(world: World) -> None:
    world.put(row(1, 0, level="5000"), row(30, 1, level="6000"), days=2)
    world.extract(*DAYS[:2])
    with pytest.raises(DataError) as error:
        world.validate(*DAYS[:2])
    assert str(error.value).count("blocks: sane(level)") == 2


def test_a_source_that_is_down_or_changed_stages_nothing_of_the_table(world: World) -> None:
    world.put(row(1, 0))
    world.source.down = True
    with pytest.raises(SourceError):
        world.extract(DAYS[0])
    world.source = MemorySource()
    world.source.put("readings", [{"id": "1"}], START + DAY)
    with pytest.raises(ContractError, match="level"):
        world.extract(DAYS[0])
    with pytest.raises(DataError, match="Nothing is staged"):
        world.validate(DAYS[0])


def test_ingesting_again_in_another_run_leaves_every_table_as_it_was(world: World) -> None:
    world.put(*(row(n, 0) for n in range(1, 5)), row(7, 0, level="500"), row(8, 0, level="high"))
    world.ingest(DAYS[0])
    before = world.contents()
    world.ingest(DAYS[0], run="a year later")
    assert world.contents() == before


def test_a_corrected_row_leaves_the_quarantine_and_others_keep_their_run(world: World) -> None:
    world.put(*(row(n, 0) for n in range(1, 5)), row(7, 0, level="500"), row(8, 0, level="600"))
    world.ingest(DAYS[0])
    mended = World()
    mended.lake = world.lake
    mended.put(*(row(n, 0) for n in range(1, 5)), row(7, 0, level="5"), row(8, 0, level="600"))
    mended.ingest(DAYS[0], run="second")
    assert mended.lake.read("readings")["id"].to_pylist() == [1, 2, 3, 4, 7]
    assert mended.lake.read("readings_quarantine").select(["id", "_run"]).to_pylist() == [{"id": 8, "_run": "run"}]


def test_a_second_publish_of_the_same_run_finds_its_work_done(world: World) -> None:
    world.put(row(1, 0), row(2, 0), row(7, 0, level="500"))
    first = world.ingest(DAYS[0])
    before = world.contents()
    assert world.publish(DAYS[0]) == first
    assert world.contents() == before


def test_publishing_what_was_never_extracted_is_refused(world: World) -> None:
    with pytest.raises(DataError, match="Nothing is staged"):
        world.publish(DAYS[0])


def test_a_cleared_run_works_its_intervals_anew(world: World) -> None:
    world.put(row(1, 0))
    world.ingest(DAYS[0])
    world.put(row(2, 0))
    world.ingest(DAYS[0])
    assert world.lake.read("readings")["id"].to_pylist() == [1, 2]


class Killed(BaseException):
    """What a kill looks like from within."""


class DyingLake(MemoryLake):
    """A lake whose process is killed before its `left`-th change."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def _live(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def replace(self, table: str, rows: pa.Table, interval: Interval) -> int:
        self._live()
        return super().replace(table, rows, interval)

    def stage(self, name: str, rows: pa.Table) -> None:
        self._live()
        super().stage(name, rows)

    @contextmanager
    def staging(self, name: str) -> Iterator[Callable[[pa.RecordBatch], None]]:
        self._live()
        with super().staging(name) as put:
            yield put
            self._live()

    def unstage(self, prefix: str) -> None:
        self._live()
        super().unstage(prefix)


def test_a_run_killed_anywhere_ends_the_same_when_its_task_runs_again() -> None:
    rows = (row(1, 0), row(2, 0), row(3, 0), row(7, 0, level="500"))
    whole = World()
    whole.put(*rows)
    whole.ingest(DAYS[0])
    deaths = 0
    for left in range(40):
        world = World()
        world.lake = DyingLake(left)
        world.put(*rows)
        for step in (world.extract, world.validate, world.publish):
            try:
                step(DAYS[0])
            except Killed:
                deaths += 1
                world.lake.left = 1_000
                step(DAYS[0])
        assert world.contents() == whole.contents()
    assert 10 < deaths < 40


def test_rows_that_would_be_lost_are_noticed(world: World) -> None:
    world.put(row(1, 0), row(2, 0))
    world.extract(DAYS[0])
    world.validate(DAYS[0])
    world.lake.stage("run/2013-01-01T0000/readings/good", world.lake.staged("run/2013-01-01T0000/readings/good").slice(1))
    with pytest.raises(EverloopError, match="2 rows came in, but 1 are to be published and 0 quarantined"):
        world.publish(DAYS[0])
