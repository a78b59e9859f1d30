"""Drivers whose features were materialized, and requests that the scorer answered about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pytest

from everloop.ports import Measurement
from everloop.steps import parity
from fakes.features import MemoryFeatures
from fakes.lake import MemoryLake
from fakes.measurements import InMemoryMeasurements
from fakes.taxi import DAYS, HOUR, TAXI, entities, memory_features, publish
from fakes.traffic import InMemoryTraffic, prediction

ASKED = DAYS[1].start + HOUR
INTERVAL = DAYS[1]

Served = Callable[..., dict[str, Any]]
Measured = Callable[..., list[Measurement]]


@pytest.fixture
def features() -> MemoryFeatures:
    lake = MemoryLake()
    features = memory_features(lake)
    features.apply()
    publish(lake, DAYS[0], {"ann": [10.0], "bob": [5.0]}, {"ann": "north"})
    features.compute(DAYS[0])
    features.materialize(DAYS[0])
    return features


@pytest.fixture
def served(features: MemoryFeatures) -> Served:
    """Makes a logged prediction as the scorer does: with the online vector, less what is changed in it, as JSON has it."""

    def log(driver: str, moment: datetime = ASKED, *, flags: Sequence[str] = (), **vector: Any) -> dict[str, Any]:
        row = features.online(entities((driver, "JFK", moment))).drop_columns(["event_timestamp"]).to_pylist()[0]
        request = {"driver": driver, "city": "JFK", "asked_at": moment}
        used = {name: value for name, value in row.items() if "__" in name} | vector
        told = msgspec.json.encode({"request": request, "vector": used}).decode()
        return prediction(f"{driver}-{moment}", as_of=moment, features=told, flags=list(flags))

    return log


@pytest.fixture
def measured(features: MemoryFeatures) -> Measured:
    """What the step writes of some rows of one interval."""

    def measure(*rows: dict[str, Any], of: MemoryFeatures = features) -> list[Measurement]:
        traffic, measurements = InMemoryTraffic(), InMemoryMeasurements()
        traffic.log("taxi", rows)
        answer = parity.measure(traffic, of, measurements, TAXI, [INTERVAL])
        found = measurements.read("taxi", kind="parity")
        assert answer["measured"] == len(found)
        assert bool(answer["report"]) == any(m.verdict != "pass" for m in found)
        return found

    return measure
