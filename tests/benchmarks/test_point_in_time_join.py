"""The hand-written joins of the benchmark give what our store gives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from benchmarks import point_in_time_join, world
from everloop.adapters.features import FeastFeatures
from everloop.adapters.lake import DeltaLake
from everloop.interval import Interval, grid
from everloop.settings import PROJECT


@pytest.fixture
def five_weeks(tmp_path: Path, everloop_database: str) -> Iterator[Path]:
    case, lake = world.flights(), DeltaLake(str(tmp_path / "lake"))
    span = Interval(case.start, case.start + timedelta(weeks=5))
    world.published(lake, case, span)
    features = FeastFeatures(PROJECT / "feature_repo", case, lake, everloop_database)
    features.apply()
    for each in grid(case.start, case.interval, span.end):
        features.compute(each)
    return tmp_path / "lake"


def test_all_sides_give_equal_values_and_lose_no_row(five_weeks: Path, everloop_database: str, tmp_path: Path) -> None:
    asked = point_in_time_join.entities(DeltaLake(str(five_weeks)), 2_000)
    entities = str(tmp_path / "entities.parquet")
    pq.write_table(asked, entities)
    found = {}
    for side in point_in_time_join.SIDES:
        answer = str(tmp_path / f"{side}.parquet")
        point_in_time_join.run(side, str(five_weeks), entities, everloop_database, answer)
        found[side] = pl.read_parquet(answer)
    assert {side: rows.height for side, rows in found.items()} == dict.fromkeys(point_in_time_join.SIDES, 2_000)
    assert found["ours"]["carrier_delay__rate_28d"].null_count() < 2_000
    for side in point_in_time_join.SIDES[1:]:
        assert point_in_time_join.differing(found["ours"], found[side]) == 0


def test_a_value_that_differs_is_counted(tmp_path: Path) -> None:
    ours = pl.DataFrame({"row": [0, 1, 2], "a__x": [1, None, 3]})
    theirs = pl.DataFrame({"row": [2, 1, 0], "a__x": [4.0, float("nan"), 1.0]})
    assert point_in_time_join.differing(ours, theirs) == 1
