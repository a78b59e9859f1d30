"""Intervals in batches: the same tables, accounts and refusals as in one piece; contracts that change; hours that come twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from everloop.adapters.lake import DeltaLake
from everloop.adapters.sources import Sources
from everloop.errors import ContractError, DataError
from everloop.interval import Interval
from everloop.ports import Lake
from everloop.steps import ingest, quarantine
from everloop.steps.repeated import RepeatedKeys
from everloop.use_case import UseCase
from fakes.checks import MemoryChecks
from fakes.lake import MemoryLake
from fakes.readings import DAY, DAYS, READINGS, RULES, START, TIDES, World, row

ROWS = 400


def text(n: int) -> str:
    """Every 50th row repeats the first key, every 40th breaks the suite, every 90th has no number."""
    at = (START + timedelta(seconds=n)).isoformat()
    level = "n/a" if n % 90 == 89 else "500" if n % 40 == 39 else "1.5"
    return f"{0 if n % 50 == 49 else n},{level},{at}\n"


@pytest.fixture(params=["memory", "delta"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    return MemoryLake() if request.param == "memory" else DeltaLake(str(tmp_path / "lake"), held_rows=100, file_rows=90)


def ingested(lake: Lake, folder: Path, *, batch_bytes: int, frame_rows: int, use_case: UseCase = TIDES) -> dict[str, Any]:
    one = replace(use_case, sources=use_case.sources[:1])
    ingest.extract(Sources({}, str(folder), batch_bytes=batch_bytes), lake, one, DAYS[:1], "run")
    report = ingest.validate(MemoryChecks(RULES), lake, one, DAYS[:1], "run", frame_rows=frame_rows)
    return report | ingest.publish(lake, one, DAYS[:1], "run")


def contents(lake: Lake) -> dict[str, list[str]]:
    return {name: sorted(map(repr, lake.read(name).to_pylist())) for name in lake.tables()}


def test_in_batches_and_in_one_piece_the_same_rows_are_published_and_put_aside(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "2013-01-01.csv").write_text("id,level,at\n" + "".join(text(n) for n in range(ROWS)))
    whole = MemoryLake()
    expected = ingested(whole, tmp_path, batch_bytes=1_000_000, frame_rows=1_000)
    assert ingested(lake, tmp_path, batch_bytes=900, frame_rows=10) == expected
    assert contents(lake) == contents(whole)
    assert expected["published"]["readings"]["2013-01-01T0000"] + expected["quarantined"]["readings"]["2013-01-01T0000"] == ROWS
    assert expected["broken"]["readings"] == {"contract": 4, "unique_key(id)": 8, "low(level)": 7}
    before = {name: lake.version(name) for name in lake.tables()}
    ingested(lake, tmp_path, batch_bytes=700, frame_rows=10)
    assert {name: lake.version(name) for name in lake.tables()} == before


def test_a_blocking_failure_in_a_late_batch_publishes_nothing(lake: Lake, tmp_path: Path) -> None:
    last = f"{ROWS},5000,{START.isoformat()}\n"
    (tmp_path / "2013-01-01.csv").write_text("id,level,at\n" + "".join(text(n) for n in range(ROWS)) + last)
    with pytest.raises(DataError, match=r"blocks: sane\(level\)"):
        ingested(lake, tmp_path, batch_bytes=900, frame_rows=10)
    assert lake.tables() == []


@pytest.mark.parametrize("rows_at_once", [1, 7, 10_000])
def test_every_row_but_the_first_of_its_key_is_found_however_far_apart(rows_at_once: int) -> None:
    ids = np.random.default_rng(1).integers(0, 300, 1_000)
    known = [n for n, one in enumerate(ids) if one in ids[:n]]
    with RepeatedKeys(len(ids), rows_at_once) as keys:
        for first in range(0, len(ids), 100):
            part = ids[first : first + 100]
            names = pa.array([None if one == 7 else f"k{one}" for one in part], pa.string())
            keys.add(pa.RecordBatch.from_arrays([names, pa.array(part % 2)], ["name", "half"]), np.arange(first, first + 100))
        assert keys.found().tolist() == known


def changed(columns: dict[str, str]) -> UseCase:
    return replace(TIDES, sources=(replace(READINGS, columns=columns), TIDES.sources[1]))


def world_after_a_day() -> World:
    world = World()
    world.hold(row(1, 0), row(2, 0, "500"))
    world.ingest(DAYS[:1])
    return world


def test_a_new_column_of_the_contract_is_taken_and_told() -> None:
    world = world_after_a_day()
    world.use_case = changed({**READINGS.columns, "mood": "string"})
    world.hold({**row(3, 1), "mood": "fine"}, {**row(4, 1, "600"), "mood": "grim"})
    found = ingest.extract(world.source, world.lake, world.use_case, DAYS[1:2], "run")
    assert found["warnings"] == ['readings: column "mood" (string) is new: it is null in the rows of earlier intervals']
    world.publish(DAYS[1:2])
    assert [(r["id"], r["mood"]) for r in world.lake.read("readings").to_pylist()] == [(1, None), (3, "fine")]
    shown = quarantine.shown(world.lake, world.use_case, "readings").to_pylist()
    assert [(r["id"], r["mood"]) for r in shown] == [(2, None), (4, "grim")]


def test_rows_put_aside_before_a_column_was_new_can_still_be_shown() -> None:
    world = world_after_a_day()
    world.use_case = changed({**READINGS.columns, "mood": "string"})
    assert quarantine.shown(world.lake, world.use_case, "readings")["mood"].to_pylist() == [None]


def test_a_changed_type_and_a_lost_column_are_refused_with_the_difference_before_anything_is_read() -> None:
    world = world_after_a_day()
    before = world.lake.version("readings")
    world.use_case = changed({"id": "string", "at": "timestamp"})
    world.source.down = True
    with pytest.raises(ContractError) as error:
        ingest.extract(world.source, world.lake, world.use_case, DAYS[1:2], "run")
    assert 'column "id" is int in the lake and string in the contract' in str(error.value)
    assert 'column "level" is in the lake and no longer in the contract' in str(error.value)
    assert world.lake.version("readings") == before


class Killed(BaseException):
    """What a kill looks like from within."""


class DyingDelta(DeltaLake):
    """A Delta lake whose process is killed before its `left`-th change."""

    left = 1_000

    def _live(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def replace(self, table: str, rows: Any, interval: Interval) -> int:
        self._live()
        return super().replace(table, rows, interval)

    def unstage(self, prefix: str) -> None:
        self._live()
        super().unstage(prefix)


@pytest.mark.parametrize("left", range(6))
def test_killed_between_any_two_changes_of_a_delta_lake_a_second_run_gives_the_same_tables(left: int, tmp_path: Path) -> None:
    (tmp_path / "2013-01-01.csv").write_text("id,level,at\n" + "".join(text(n) for n in range(ROWS)))
    whole = MemoryLake()
    ingested(whole, tmp_path, batch_bytes=1_000_000, frame_rows=1_000)
    lake = DyingDelta(str(tmp_path / "lake"), held_rows=100)
    lake.left = left
    try:
        ingested(lake, tmp_path, batch_bytes=900, frame_rows=10)
    except Killed:
        lake.left = 1_000
        ingested(lake, tmp_path, batch_bytes=900, frame_rows=10)
    assert contents(lake) == contents(whole)


def hours(first: datetime, *clocks: str) -> Iterator[str]:
    yield "id,level,at\n"
    yield from (f"{n},1.0,{first:%Y-%m-%d}T{clock}\n" for n, clock in enumerate(clocks))


@pytest.mark.parametrize(
    ("day", "clocks", "utc"),
    [
        # New York skips from 2:00 EST to 3:00 EDT: one hour apart, not two.
        (datetime(2013, 3, 10, tzinfo=UTC), ("01:30:00-05:00", "03:30:00-04:00"), (6.5, 7.5)),
        # 1:30 comes twice: first in EDT, an hour later in EST.
        (datetime(2013, 11, 3, tzinfo=UTC), ("01:30:00-04:00", "01:30:00-05:00"), (5.5, 6.5)),
    ],
)
def test_the_hours_that_new_york_skips_and_repeats_keep_their_distance(
    day: datetime, clocks: tuple[str, ...], utc: tuple[float, ...], tmp_path: Path
) -> None:
    (tmp_path / f"{day:%Y-%m-%d}.csv").write_text("".join(hours(day, *clocks)))
    use_case = replace(TIDES, sources=TIDES.sources[:1])
    lake, interval = DeltaLake(str(tmp_path / "lake")), Interval(day, day + DAY)
    ingest.extract(Sources({}, str(tmp_path)), lake, use_case, [interval], "run")
    ingest.validate(MemoryChecks(RULES), lake, use_case, [interval], "run")
    ingest.publish(lake, use_case, [interval], "run")
    by_hour = 'SELECT "at", count(*) OVER (ORDER BY "at" RANGE INTERVAL 1 HOUR PRECEDING) AS n FROM readings ORDER BY "at"'
    found = lake.query(by_hour, {"readings": None}).to_pylist()
    assert [r["at"] for r in found] == [day + timedelta(hours=hour) for hour in utc]
    assert [r["n"] for r in found] == [1, 2]
