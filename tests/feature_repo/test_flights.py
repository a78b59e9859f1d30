"""The shipped feature repository, on a few flights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from everloop.adapters.features import FeastFeatures
from everloop.adapters.features.repository import load
from everloop.interval import Interval
from everloop.use_case import DroppedFiles, Examples, SourceTable, UseCase
from fakes.lake import MemoryLake

REPO = Path(__file__).parents[2] / "feature_repo"
END = datetime(2013, 2, 5, tzinfo=UTC)
WEEK = Interval(END - timedelta(days=7), END)
DAY = timedelta(days=1)
TIME = pa.timestamp("us", "UTC")
WEATHER = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")

FLIGHTS = pa.schema(
    {
        "carrier": pa.string(),
        "flight": pa.int64(),
        "tailnum": pa.string(),
        "origin": pa.string(),
        "dest": pa.string(),
        "arrival_delay": pa.float64(),
        "closed_at": TIME,
    }
)


def flight(closed_at: datetime, delay: float | None, **changes: Any) -> dict[str, Any]:
    row = {"carrier": "UA", "flight": 1, "tailnum": "N1", "origin": "JFK", "dest": "LAX"}
    return {**row, "arrival_delay": delay, "closed_at": closed_at, **changes}


def use_case() -> UseCase:
    def table(name: str, columns: dict[str, str], key: str, event_time: str) -> SourceTable:
        return SourceTable(
            name=name, source=DroppedFiles(pattern=f"{name}.csv"), columns=columns, key=(key,), event_time=event_time, suite=name
        )

    flights = {
        "carrier": "string",
        "flight": "int",
        "tailnum": "string",
        "origin": "string",
        "dest": "string",
        "closed_at": "timestamp",
    }
    weather = {"origin": "string", "observed_at": "timestamp", **dict.fromkeys(WEATHER, "float")}
    return UseCase(
        name="flights",
        description="",
        start=datetime(2013, 1, 1, tzinfo=UTC),
        interval=timedelta(days=7),
        sources=(table("flights", flights, "flight", "closed_at"), table("weather", weather, "origin", "observed_at")),
        examples=Examples(sql="SELECT 1", tables=("flights",), suite="training_set"),
        feature_service="flights",
        entity=("carrier", "flight", "origin"),
        categories=("carrier", "origin", "dest"),
    )


@pytest.fixture
def lake() -> MemoryLake:
    return MemoryLake()


@pytest.fixture
def features(lake: MemoryLake, everloop_database: str) -> FeastFeatures:
    features = FeastFeatures(REPO, use_case(), lake, everloop_database)
    features.apply()
    return features


def computed(features: FeastFeatures, lake: MemoryLake, *flights: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    lake.replace("flights", pa.Table.from_pylist(list(flights), schema=FLIGHTS), WEEK)
    return {view: lake.read(view).to_pylist() for view in features.compute(WEEK)}


def test_a_rate_counts_late_and_cancelled_flights_of_its_window(features: FeastFeatures, lake: MemoryLake) -> None:
    made = computed(
        features,
        lake,
        flight(END - DAY, 15.0),
        flight(END - DAY, 14.0),
        flight(END - 7 * DAY, None),
        flight(END - 28 * DAY, 0.0),
        flight(END - 28 * DAY - timedelta(microseconds=1), 99.0),
        flight(END, 99.0),
    )
    known = {"event_timestamp": END, "created": END}
    assert made["carrier_delay"] == [
        {"carrier": "UA", "rate_7d": pytest.approx(2 / 3), "rate_28d": 0.5, "flights_28d": 4, **known}
    ]
    assert made["route_delay"] == [{"origin": "JFK", "dest": "LAX", "rate_28d": 0.5, "flights_28d": 4, **known}]
    assert made["origin_delay"] == [{"origin": "JFK", "rate_7d": pytest.approx(2 / 3), "rate_28d": 0.5, **known}]


def test_flights_without_a_tail_number_count_for_the_carrier_and_for_no_aircraft(
    features: FeastFeatures, lake: MemoryLake
) -> None:
    made = computed(features, lake, flight(END - DAY, 99.0), flight(END - DAY, None, tailnum=None))
    assert [row["flights_28d"] for row in made["carrier_delay"]] == [2]
    assert [(row["tailnum"], row["flights_28d"]) for row in made["aircraft_delay"]] == [("N1", 1)]


def test_weather_counts_a_quarter_of_an_hour_after_it_was_observed(features: FeastFeatures, lake: MemoryLake) -> None:
    row = {"origin": "JFK", "observed_at": END - DAY, **dict.fromkeys(WEATHER, 1.0)}
    schema = pa.schema({"origin": pa.string(), "observed_at": TIME, **dict.fromkeys(WEATHER, pa.float64())})
    lake.replace("weather", pa.Table.from_pylist([row], schema=schema), WEEK)
    assert features.compute(WEEK)["weather_hourly"] == 1
    found = lake.read("weather_hourly").to_pylist()[0]
    assert found["event_timestamp"] == found["created"] == END - DAY + timedelta(minutes=15)


def test_the_schedule_is_read_on_new_york_clocks() -> None:
    schedule = next(value for value in load(REPO, "flights") if value.name == "schedule").feature_transformation.udf
    winter, summer = datetime(2013, 1, 7, 3, 30, tzinfo=UTC), datetime(2013, 7, 7, 3, 30, tzinfo=UTC)
    found = schedule(
        {"scheduled_departure": [winter, summer, None], "scheduled_arrival": [5, 2359, None], "distance": [1.0, None, 3.0]}
    )
    assert found == {
        "departure_minute": [22 * 60 + 30, 23 * 60 + 30, None],
        "arrival_minute": [5, 23 * 60 + 59, None],
        "weekday": [6, 5, None],
        "distance": [1.0, None, 3.0],
    }


def test_the_request_and_the_views_are_those_of_the_service(features: FeastFeatures) -> None:
    plan = features.plan()
    assert plan.request == {
        "carrier": "string",
        "origin": "string",
        "dest": "string",
        "tailnum": "string",
        "scheduled_departure": "timestamp",
        "scheduled_arrival": "int",
        "distance": "float",
        "flight": "int",
    }
    assert [view.name for view in plan.views] == [
        "carrier_delay",
        "origin_delay",
        "route_delay",
        "aircraft_delay",
        "aircraft",
        "weather_hourly",
    ]
    assert [push.view for push in plan.pushes] == ["weather_hourly"]
    assert {view.name: view.ttl_seconds for view in plan.views if view.ttl_seconds != 15 * 86400} == {
        "aircraft": None,
        "weather_hourly": 21600.0,
    }


def test_request_functions_stand_alone(features: FeastFeatures) -> None:
    exec(features.request_functions(), namespace := {})
    asked = {"scheduled_departure": [END], "scheduled_arrival": [1], "distance": [2.0]}
    assert namespace["schedule"](asked)["departure_minute"] == [19 * 60]
