from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from everloop.steps import parity
from fakes.features import MemoryFeatures
from fakes.lake import MemoryLake
from fakes.measurements import InMemoryMeasurements
from fakes.taxi import DAYS, HOUR, TAXI, entities, memory_features, publish
from fakes.traffic import InMemoryTraffic, prediction

ASKED = DAYS[1].start + HOUR
INTERVAL = DAYS[1]


@pytest.fixture
def features() -> MemoryFeatures:
    lake = MemoryLake()
    features = memory_features(lake)
    features.apply()
    publish(lake, DAYS[0], {"ann": [10.0], "bob": [5.0]}, {"ann": "north"})
    features.compute(DAYS[0])
    features.materialize(DAYS[0])
    return features


def served(features: MemoryFeatures, driver: str, moment: datetime = ASKED, **vector: Any) -> dict[str, Any]:
    """A logged prediction as the scorer makes it: with the online vector, less what `vector` changes."""
    row = features.online(entities((driver, "JFK", moment))).drop_columns(["event_timestamp"]).to_pylist()[0]
    request = {"driver": driver, "city": "JFK", "asked_at": moment.isoformat()}
    used = {name: value for name, value in row.items() if "__" in name} | vector
    return prediction(f"{driver}-{moment}", as_of=moment, features=json.dumps({"request": request, "vector": used}))


def measured(features: MemoryFeatures, *rows: dict[str, Any]) -> Any:
    traffic, measurements = InMemoryTraffic(), InMemoryMeasurements()
    traffic.log("taxi", rows)
    answer = parity.measure(traffic, features, measurements, TAXI, [INTERVAL])
    found = measurements.read("taxi", kind="parity")
    assert answer["measured"] == len(found)
    return found


def test_what_the_online_store_served_equals_history(features: MemoryFeatures) -> None:
    (found,) = measured(features, served(features, "ann"), served(features, "bob"), served(features, "new"))
    assert (found.value, found.verdict, found.subject, found.release) == (1.0, "pass", "window", "r1")


def test_a_vector_that_history_does_not_give_fails_and_is_named(features: MemoryFeatures) -> None:
    (found,) = measured(features, served(features, "ann", driver_fares__mean_2d=3.0), served(features, "bob"))
    assert (found.value, found.verdict) == (0.5, "fail")
    assert found.detail["columns"] == {"driver_fares__mean_2d": 1}
    assert found.detail["differences"][0]["replayed"] == 10.0
    json.dumps(found.detail)


def test_features_that_a_broken_store_left_out_count_as_differences(features: MemoryFeatures) -> None:
    (found,) = measured(features, served(features, "ann", driver_fares__mean_2d=None, driver_home__district=None))
    assert found.verdict == "fail"


def test_each_release_is_judged_by_itself(features: MemoryFeatures) -> None:
    other = served(features, "bob", driver_fares__mean_2d=9.9) | {"release": "r2"}
    found = measured(features, served(features, "ann"), other)
    assert {m.release: m.verdict for m in found} == {"r1": "pass", "r2": "fail"}


def test_no_traffic_is_no_measurement(features: MemoryFeatures) -> None:
    assert measured(features) == []


def test_requests_that_failed_have_no_vector_and_are_left_out(features: MemoryFeatures) -> None:
    broken = prediction("x", as_of=ASKED, error="timeout", features="{}")
    (found,) = measured(features, served(features, "ann"), broken)
    assert found.detail["rows"] == 1


@pytest.mark.parametrize(("rows", "size", "taken"), [(3, 5, [0, 1, 2]), (10, 5, [0, 2, 4, 6, 8]), (7, 3, [0, 2, 4]), (0, 3, [])])
def test_the_sample_is_spread_evenly_and_the_same_every_time(rows: int, size: int, taken: list[int]) -> None:
    assert parity.sample(pa.table({"n": pa.array(range(rows), pa.int64())}), size)["n"].to_pylist() == taken
