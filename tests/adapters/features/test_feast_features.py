"""What `ports.Features` promises, of Feast on our stores and of the fake."""

from __future__ import annotations

import pyarrow as pa
import pytest

from everloop.errors import ConfigurationError
from everloop.ports import Features
from fakes.lake import MemoryLake
from fakes.taxi import CLOCK, DAY, DAYS, HOUR, MINUTE, READINGS, START, entities, memory_features, publish

VECTOR = [
    "driver_fares__mean_2d",
    "driver_fares__trips_2d",
    "driver_home__district",
    "city_level__level",
    "clock__hour",
]


def ingest(features: Features, lake: MemoryLake, days: int = 3) -> None:
    for n, day in enumerate(DAYS[:days]):
        publish(lake, day, {"ann": [10.0 + n, 20.0], "bob": [5.0], None: [1.0]}, {"ann": "north"} if n == 0 else {})
        features.compute(day)
        features.materialize(day)


def values(found: pa.Table, column: str) -> list[object]:
    return list(found[column].to_pylist())


def test_the_plan_says_how_a_request_becomes_a_vector(features: Features) -> None:
    plan, expected = features.plan(), memory_features(MemoryLake())
    expected.apply()
    assert plan == expected.plan()


def test_request_functions_run_on_their_own(features: Features) -> None:
    namespace: dict[str, object] = {}
    exec(features.request_functions(), namespace)
    exec(CLOCK, expected := {})
    inputs = {"asked_at": [START + 5 * HOUR, None]}
    assert namespace["clock"](inputs) == expected["clock"](inputs) == {"hour": [5, None]}  # type: ignore[operator]


def test_every_entity_row_is_kept_in_order_with_its_vector(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake)
    asked = entities(("bob", "JFK", DAYS[1].end), (None, None, DAYS[1].end), ("ann", "JFK", START), ("ann", "JFK", DAYS[1].end))
    found = features.history(asked)
    assert found.column_names == [*asked.column_names, *VECTOR]
    assert found.select(asked.column_names).equals(asked)
    assert values(found, "driver_fares__mean_2d") == [5.0, None, None, pytest.approx(15.25)]
    assert values(found, "driver_fares__trips_2d") == [2, None, None, 4]
    assert values(found, "driver_home__district") == [None, None, None, "north"]
    assert values(found, "clock__hour") == [0, 0, 0, 0]


def test_no_rows_give_no_rows(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake, 1)
    asked = entities(("ann", "JFK", START)).slice(0, 0)
    assert features.history(asked).num_rows == 0
    assert features.online(asked).column_names == [*asked.column_names, *VECTOR]


def test_views_without_a_table_give_nulls(features: Features) -> None:
    found = features.history(entities(("ann", "JFK", START)))
    assert [values(found, column) for column in VECTOR] == [[None], [None], [None], [None], [0]]


def test_a_value_counts_from_its_publication_to_the_end_of_its_ttl(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake, 1)
    last = DAYS[0].end - 20 * MINUTE  # the reading of 23:30, published ten minutes later
    moments = [last - HOUR - 1 * MINUTE, last - 1 * MINUTE, last, last + 2 * HOUR, last + 2 * HOUR + 1 * MINUTE]
    found = features.history(entities(*(("ann", "JFK", moment) for moment in moments)))
    assert values(found, "city_level__level") == [21.0, 22.0, 23.0, 23.0, None]


def test_online_equals_history_for_every_kind_of_key(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake)
    end = DAYS[2].end
    moments = [end, end + HOUR, end + 2 * HOUR, end + 3 * DAY, end + 3 * DAY + MINUTE, end + 40 * DAY]
    asked = entities(*((d, c, m) for m in moments for d in ("ann", "bob", "new", None) for c in ("JFK", "XXX", None)))
    assert features.online(asked).equals(features.history(asked))


def test_computing_again_writes_nothing(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake)
    before = {table: lake.version(table) for table in lake.tables()}
    assert features.compute(DAYS[1]) == {"driver_fares": 2, "driver_home": 0, "city_level": 24}
    assert {table: lake.version(table) for table in lake.tables()} == before


def test_materializing_counts_rows_that_changed_and_old_intervals_change_none(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake, 2)
    publish(lake, DAYS[2], {"ann": [1.0], "cy": [2.0]})
    features.compute(DAYS[2])
    assert features.materialize(DAYS[2]) == {"driver_fares": 3, "driver_home": 0, "city_level": 1}
    assert features.materialize(DAYS[2]) == {"driver_fares": 0, "driver_home": 0, "city_level": 0}
    assert features.materialize(DAYS[0]) == {"driver_fares": 0, "driver_home": 0, "city_level": 0}


def test_a_correction_of_the_latest_interval_lands_online(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake, 2)
    publish(lake, DAYS[1], {"ann": [99.0]})
    features.compute(DAYS[1])
    assert features.materialize(DAYS[1])["driver_fares"] == 2
    asked = entities(("ann", "JFK", DAYS[1].end))
    assert (
        values(features.online(asked), "driver_fares__trips_2d")
        == values(features.history(asked), "driver_fares__trips_2d")
        == [3]
    )


def test_an_interval_touches_the_published_later_ones_whose_windows_reach_back(features: Features, lake: MemoryLake) -> None:
    for day in (DAYS[0], DAYS[1], DAYS[2], DAYS[4]):
        publish(lake, day, {"ann": [1.0]})
    assert features.touched(DAYS[0]) == [DAYS[0], DAYS[1]]
    assert features.touched(DAYS[3]) == [DAYS[3], DAYS[4]]
    assert features.touched(DAYS[4]) == [DAYS[4]]


def test_history_reads_the_pinned_versions(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake)
    pinned = {table: lake.version(table) for table in lake.tables()}
    asked = entities(("ann", "JFK", DAYS[2].end))
    before = features.history(asked)
    publish(lake, DAYS[2], {"ann": [500.0]})
    features.compute(DAYS[2])
    assert features.history(asked, pinned).equals(before)
    assert not features.history(asked).equals(before)


def test_a_snapshot_that_lacks_a_feature_table_is_refused(features: Features, lake: MemoryLake) -> None:
    ingest(features, lake, 1)
    with pytest.raises(ConfigurationError, match="driver_fares"):
        features.history(entities(("ann", "JFK", START)), {"trips": 1})


def test_rows_without_a_key_are_no_feature_rows(features: Features, lake: MemoryLake) -> None:
    publish(lake, DAYS[0], {"cy": [1.0], None: [1.0], "bob": [2.0]})
    features.compute(DAYS[0])
    assert sorted(lake.read("driver_fares")["driver"].to_pylist()) == ["bob", "cy"]


def test_pushed_rows_equal_those_that_history_makes_later(features: Features, lake: MemoryLake) -> None:
    publish(lake, DAYS[0], {"ann": [1.0]})
    features.compute(DAYS[0])
    push = features.plan().pushes[0]
    raw = lake.query_rows(push.sql, {push.source: lake.read("readings")}, {"start": DAYS[0].start, "end": DAYS[5].end})
    made = lake.read("city_level")
    order = [("city", "ascending"), ("event_timestamp", "ascending")]
    assert raw.select(made.column_names).sort_by(order).equals(made.sort_by(order))
    assert push.columns == READINGS.columns
