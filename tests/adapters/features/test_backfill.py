"""An interval that is worked a year late leaves the newer values online as they are, and brings what only it knows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pandas as pd
import psycopg
import pytest
from redis import Redis

from adapters.features.conftest import REPO
from everloop.adapters.features import FeastFeatures
from fakes.lake import MemoryLake
from fakes.taxi import DAYS, HOUR, MINUTE, READINGS, TAXI, entities, publish, rows

OLD, NEWER = DAYS[0], DAYS[1:4]
A_YEAR_LATER = OLD.end + timedelta(days=365)
OLD_READINGS = [("JFK", 99.0, OLD.start + 2 * HOUR), ("EWR", 7.0, OLD.start + HOUR)]

Content = dict[Any, Any]


@pytest.fixture(params=["postgres", "redis"])
def online(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue({"postgres": "everloop_database", "redis": "redis_uri"}[request.param]))


@pytest.fixture
def features(online: str, lake: MemoryLake, everloop_database: str) -> FeastFeatures:
    """The newer days are published and materialized; the oldest one never came."""
    made = FeastFeatures(REPO, TAXI, lake, everloop_database, online=online)
    made.apply()
    for day in NEWER:
        publish(lake, day, {"ann": [10.0], "bob": [5.0]}, {"ann": "north", "bob": "east"} if day == NEWER[0] else {})
        made.compute(day, day.end)
        made.materialize(day)
    return made


def content(uri: str, features: FeastFeatures) -> Content:
    """Every row of the online store, whole, by view and key."""
    if uri.startswith("redis"):
        with contextlib.closing(Redis.from_url(uri)) as client:
            return {key: client.get(key) for key in client.scan_iter("{online*")}
    found: Content = {}
    with psycopg.connect(uri) as connection:
        for view in features.plan().views:
            keys = ", ".join(view.join_keys)
            for key, row in connection.execute(f"SELECT ROW({keys})::text, t::text FROM {view.table} t"):
                found[view.name, key] = row
    return found


def arrive_late(features: FeastFeatures, lake: MemoryLake) -> None:
    """The oldest day, with other rows of the same drivers and of one whom no newer day knows; what depends on it anew."""
    publish(lake, OLD, {"ann": [900.0, 800.0], "bob": [700.0], "cy": [1.0]}, {"ann": "south", "cy": "west"})
    lake.replace("readings", rows(READINGS, OLD_READINGS), OLD)
    for day in features.touched(OLD):
        features.compute(day, A_YEAR_LATER)


def by_the_loop(features: FeastFeatures) -> None:
    for day in features.touched(OLD):
        features.materialize(day)


def by_feast(features: FeastFeatures) -> None:
    features.store.materialize(OLD.start, OLD.end)


def by_a_push(features: FeastFeatures) -> None:
    frame = pd.DataFrame(OLD_READINGS, columns=["city", "level", "event_timestamp"])
    moments = pd.to_datetime(frame["event_timestamp"]) + 10 * MINUTE
    features.store.push("city_push", frame.assign(event_timestamp=moments, created=moments))


@pytest.mark.parametrize(("backfill", "new"), [(by_the_loop, 3), (by_feast, 3), (by_a_push, 1)])
def test_newer_values_stay_and_an_entity_that_only_the_old_interval_knows_appears(
    features: FeastFeatures, lake: MemoryLake, online: str, backfill: Callable[[FeastFeatures], None], new: int
) -> None:
    before = content(online, features)
    assert len(before) == 5  # of ann and bob fares and homes, and the city
    arrive_late(features, lake)
    for _ in range(2):
        backfill(features)
        after = content(online, features)
        assert {key: after[key] for key in before} == before
        assert len(after) - len(before) == new


def test_what_is_served_stays_and_is_history_also_of_what_came_late(features: FeastFeatures, lake: MemoryLake) -> None:
    known = entities(*((driver, "JFK", NEWER[-1].end) for driver in ("ann", "bob", None)))
    before = features.online(known)
    arrive_late(features, lake)
    by_the_loop(features)
    by_feast(features)
    assert features.online(known).equals(before)
    asked = entities(*((driver, city, A_YEAR_LATER) for driver in ("ann", "cy", None) for city in ("JFK", "EWR")))
    found = features.online(asked)
    assert found.equals(features.history(asked))
    assert set(found["driver_home__district"].to_pylist()) == {"north", "west", None}
