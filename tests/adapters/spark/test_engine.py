"""The shipped views on Spark: the same rows as on the local engine, computed and joined."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from benchmarks.world import published
from everloop.adapters.features import FeastFeatures
from everloop.adapters.lake import DeltaLake
from everloop.catalog import use_case
from everloop.demo import year
from everloop.interval import Interval, grid
from everloop.settings import PROJECT

WEEKS = Interval(year.BEGIN, year.BEGIN + timedelta(days=21))


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    lake = DeltaLake(str(tmp_path))
    published(lake, use_case("flights"), WEEKS)
    return lake


@pytest.fixture
def on_spark(lake: DeltaLake, everloop_database: str, spark_master: str) -> FeastFeatures:
    return FeastFeatures(PROJECT / "feature_repo", use_case("flights"), lake, everloop_database, spark=spark_master)


def sorted_rows(rows: pa.Table) -> list[tuple[Any, ...]]:
    return sorted((tuple(row.values()) for row in rows.to_pylist()), key=repr)


def test_feature_tables_and_history_are_equal_on_both_engines(
    lake: DeltaLake, on_spark: FeastFeatures, everloop_database: str, spark: Any
) -> None:
    case = use_case("flights")
    local = FeastFeatures(PROJECT / "feature_repo", case, lake, everloop_database)
    local.apply()
    views = list(local.compute(next(grid(case.start, case.interval, WEEKS.end))))
    for week in grid(case.start, case.interval, WEEKS.end):
        local.compute(week)
    expected = {view: lake.read(view) for view in views}
    versions = {view: lake.version(view) for view in views}

    for week in grid(case.start, case.interval, WEEKS.end):
        on_spark.compute(week)

    # Equal content writes nothing: what Spark computes is, but for the last bit of a mean, what stands.
    assert {view: lake.version(view) for view in views} == versions
    entities = lake.query(case.examples.sql, {"flights": None}, {"start": WEEKS.start, "end": WEEKS.end})
    asked = entities.drop_columns(["key", "label", "label_time"]).slice(0, 4000)
    assert on_spark.history(asked).to_pylist() == local.history(asked).to_pylist()
    assert all(rows.num_rows for rows in expected.values())
