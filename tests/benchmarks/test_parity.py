"""The same code as the benchmark's, on three weeks and few flights."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks import parity, world
from benchmarks.record import Record
from everloop.adapters.features import FeastFeatures
from everloop.adapters.lake import DeltaLake
from everloop.interval import Interval, grid
from everloop.settings import PROJECT

THREE_WEEKS = timedelta(weeks=3)


@pytest.mark.parametrize("store", ["PostgreSQL", "Redis"])
def test_what_is_served_is_history_until_a_function_is_an_hour_off(
    store: str, everloop_database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    online = everloop_database if store == "PostgreSQL" else str(request.getfixturevalue("redis_uri"))
    case, lake = world.flights(), DeltaLake(str(tmp_path / "lake"))
    span = Interval(case.start, case.start + THREE_WEEKS)
    world.published(lake, case, span)
    features = FeastFeatures(PROJECT / "feature_repo", case, lake, everloop_database, online=online)
    features.apply()
    for each in grid(case.start, case.interval, span.end):
        features.compute(each)
    record = Record("parity")
    parity.compare(record, store, parity.Asked(features, everloop_database, online, tmp_path), 2, 1, 0.01)
    assert record.facts[f"rows, {store}"] > 100
    for status in ("fresh", "early", "absent", "computed"):
        assert record.ratios[f"equal share of {status} views, {store}"]["value"] == 1.0
    assert record.ratios[f"equal share with the function an hour off, {store}"]["value"] == 0.0
    assert record.facts[f"features named, {store}"][0] == "schedule__departure_minute"
    assert record.facts[f"what the gate says of it, {store}"].startswith("fail: ")
