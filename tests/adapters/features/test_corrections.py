"""Corrected data in feature tables: what was known before stays, what is known now is added."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.adapters.features import FeastFeatures
from everloop.adapters.features.versions import with_corrections
from everloop.ports import Features
from fakes.lake import MemoryLake
from fakes.taxi import (
    DAY,
    DAYS,
    DRIVER_FARES,
    HOUR,
    MINUTE,
    READINGS,
    TAXI,
    VIEWS,
    entities,
    memory_features,
    publish,
    rows,
)

KNOWN = DAYS[3].start + 9 * HOUR
MEAN = "driver_fares__mean_2d"


def ingest(features: Features, lake: MemoryLake) -> None:
    for day in DAYS[:2]:
        publish(lake, day, {"ann": [10.0, 20.0], "bob": [5.0]}, {"ann": "north"} if day == DAYS[0] else {})
        features.compute(day, day.end)
        features.materialize(day)


def mean(features: Features, driver: str, *moments: object) -> list[object]:
    return features.history(entities(*((driver, "JFK", moment) for moment in moments)))[MEAN].to_pylist()  # type: ignore[misc]


def versions(lake: MemoryLake) -> dict[str, int | None]:
    return {table: lake.version(table) for table in lake.tables()}


def test_history_sees_a_correction_from_the_moment_on_when_it_was_known(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake)
    publish(lake, DAYS[1], {"ann": [40.0, 20.0], "bob": [5.0]})
    assert features.compute(DAYS[1], KNOWN)["driver_fares"] == 3
    assert mean(features, "ann", DAYS[1].end, KNOWN - MINUTE, KNOWN, KNOWN + HOUR) == [15.0, 15.0, 22.5, 22.5]
    assert mean(features, "bob", DAYS[1].end, KNOWN) == [5.0, 5.0]


def test_the_online_store_takes_the_correction_and_agrees_with_history(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake)
    publish(lake, DAYS[1], {"ann": [40.0, 20.0], "bob": [5.0]})
    features.compute(DAYS[1], KNOWN)
    assert features.materialize(DAYS[1])["driver_fares"] == 1
    asked = entities(("ann", "JFK", KNOWN), ("bob", "JFK", KNOWN))
    assert features.online(asked)[MEAN].to_pylist() == features.history(asked)[MEAN].to_pylist() == [22.5, 5.0]


def test_computing_a_correction_again_adds_nothing(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake)
    publish(lake, DAYS[1], {"ann": [40.0, 20.0]})
    features.compute(DAYS[1], KNOWN)
    before = versions(lake)
    features.compute(DAYS[1], KNOWN)
    features.compute(DAYS[1], KNOWN + DAY)
    assert versions(lake) == before


def test_a_value_that_differs_by_rounding_alone_is_no_correction(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake)
    publish(lake, DAYS[1], {"ann": [10.0, 20.000000000001], "bob": [5.0]})
    before = lake.version("driver_fares")
    features.compute(DAYS[1], KNOWN)
    assert lake.version("driver_fares") == before


def test_what_vanished_is_null_from_then_on_and_may_come_back(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake)
    publish(lake, DAYS[0], {"ann": [10.0, 20.0]}, {"ann": "north"})
    publish(lake, DAYS[1], {"ann": [10.0, 20.0]})
    features.compute(DAYS[1], KNOWN)
    features.materialize(DAYS[1])
    asked = entities(("bob", "JFK", KNOWN))
    assert mean(features, "bob", KNOWN - MINUTE, KNOWN) == [5.0, None]
    assert features.online(asked)[MEAN].to_pylist() == [None]
    publish(lake, DAYS[1], {"ann": [10.0, 20.0], "bob": [7.0]})
    features.compute(DAYS[1], KNOWN + HOUR)
    features.materialize(DAYS[1])
    assert mean(features, "bob", KNOWN, KNOWN + HOUR) == [None, 7.0]


def test_a_row_that_arrived_late_counts_from_its_arrival(features: Features, lake: MemoryLake) -> None:
    publish(lake, DAYS[0], {"ann": [1.0]})
    lake.replace("readings", rows(READINGS, [("JFK", 1.0, DAYS[0].start + HOUR)]), DAYS[0])
    features.compute(DAYS[0], DAYS[0].end)
    late = [("JFK", 1.0, DAYS[0].start + HOUR), ("JFK", 2.0, DAYS[0].end - HOUR)]
    lake.replace("readings", rows(READINGS, late), DAYS[0])
    features.compute(DAYS[0], DAYS[0].end + 30 * MINUTE)
    found = features.history(entities(("ann", "JFK", DAYS[0].end), ("ann", "JFK", DAYS[0].end + 30 * MINUTE)))
    assert found["city_level__level"].to_pylist() == [None, 2.0]


def test_of_two_corrections_at_one_moment_the_later_one_counts(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake)
    for fare in (40.0, 60.0):
        publish(lake, DAYS[1], {"ann": [fare, 20.0], "bob": [5.0]})
        features.compute(DAYS[1], KNOWN)
        features.materialize(DAYS[1])
    asked = entities(("ann", "JFK", KNOWN + MINUTE))
    assert features.history(asked)[MEAN].to_pylist() == features.online(asked)[MEAN].to_pylist() == [27.5]


@pytest.mark.parametrize(("unseen", "told"), [(True, [3.0, 3.0]), (False, [4.0, 3.0])])
def test_a_filled_gap_replaces_what_nobody_saw_and_corrects_what_was_served(
    features: Features, lake: MemoryLake, unseen: bool, told: list[float]
) -> None:
    publish(lake, DAYS[1], {"ann": [4.0]})
    features.compute(DAYS[1], KNOWN, unseen=unseen)
    publish(lake, DAYS[0], {"ann": [2.0]})
    features.compute(DAYS[1], KNOWN, unseen=unseen)
    assert mean(features, "ann", DAYS[1].end, KNOWN) == told


def test_a_correction_is_kept_apart_also_where_nobody_was_served(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake)
    publish(lake, DAYS[1], {"ann": [40.0, 20.0]})
    features.compute(DAYS[1], KNOWN, unseen=True)
    assert mean(features, "ann", DAYS[1].end, KNOWN) == [15.0, 22.5]


def test_another_definition_applies_to_all_history(lake: MemoryLake, everloop_database: str, tmp_path: Path) -> None:
    summed = "sum(fare) AS mean_2d"
    repo = Path(__file__).with_name("repo")
    (tmp_path / "feature_store.yaml").write_text((repo / "feature_store.yaml").read_text())
    other = f'sql=DRIVER_FARES.replace("avg(fare) AS mean_2d", "{summed}")'
    (tmp_path / "taxi.py").write_text((repo / "taxi.py").read_text().replace("sql=DRIVER_FARES", other))
    publish(lake, DAYS[0], {"ann": [10.0, 20.0]})
    for folder, value in ((repo, 15.0), (tmp_path, 30.0)):
        features = FeastFeatures(folder, TAXI, lake, everloop_database)
        features.apply()
        features.compute(DAYS[0], KNOWN)
        assert lake.read("driver_fares")["mean_2d"].to_pylist() == [value]
        assert lake.read("driver_fares")["created"].to_pylist() == [DAYS[0].end]
    memory = memory_features(lake)
    memory._views = (replace(VIEWS[0], sql=DRIVER_FARES.replace("avg(fare) AS mean_2d", summed)), *VIEWS[1:])
    memory.compute(DAYS[0], KNOWN)
    assert lake.read("driver_fares")["mean_2d"].to_pylist() == [30.0]


FACT = st.tuples(
    st.sampled_from(["ann", "bob", None]),
    st.sampled_from([1.0, 2.0, float("inf"), None]),
    st.sampled_from([1, 2, None]),
    st.sampled_from([DAYS[0].end, DAYS[0].end + HOUR]),
    st.sampled_from([DAYS[0].end, DAYS[2].end, DAYS[4].end]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FACT, max_size=5), st.lists(FACT, max_size=5))
def test_versions_are_those_of_the_row_by_row_rule(before: list[tuple], after: list[tuple]) -> None:
    view, lake = VIEWS[0], MemoryLake()
    names = ["driver", "mean_2d", "trips_2d", "event_timestamp", "created"]

    def table(values: list[tuple]) -> pa.Table:
        one_each = {(row[0], row[3], row[4]): row for row in values}.values()
        return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in one_each], schema=view.schema)

    standing, computed = table(before), table(after)
    found = with_corrections(lake, view.plan, standing, computed, KNOWN)
    expected = memory_features(lake)._corrected(view, standing, computed, KNOWN)
    order = [(name, "ascending") for name in names]
    assert found.sort_by(order).equals(expected.sort_by(order))
    assert with_corrections(lake, view.plan, found, computed, KNOWN).num_rows == found.num_rows
    kept = found.to_pylist()
    assert all(row in kept for row in standing.to_pylist())
