"""A small world with features: drivers, their trips, and a reading per city. Days are intervals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from everloop.interval import Interval
from everloop.ports import Lake
from everloop.release import PushPlan, RequestFunctionPlan, ViewPlan
from everloop.use_case import DroppedFiles, Examples, SourceTable, UseCase
from fakes.features import MemoryFeatures, MemoryView

START = datetime(2013, 1, 1, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
DAYS = [Interval(START + n * DAY, START + (n + 1) * DAY) for n in range(6)]
TIME = pa.timestamp("us", "UTC")

DRIVER_FARES = """
    SELECT driver, avg(fare) AS mean_2d, count(*) AS trips_2d, $end AS event_timestamp, $end AS created
    FROM trips WHERE ended_at >= $end - INTERVAL 2 DAY AND ended_at < $end AND driver IS NOT NULL GROUP BY driver
"""
DRIVER_HOME = """
    SELECT driver, district, since AS event_timestamp, since AS created FROM drivers WHERE since >= $start AND since < $end
"""
CITY_LEVEL = """
    SELECT city, level, read_at + INTERVAL 10 MINUTE AS event_timestamp, read_at + INTERVAL 10 MINUTE AS created
    FROM readings WHERE read_at >= $start AND read_at < $end
"""
CLOCK = '''"""Request-time features."""


def clock(inputs):
    return {"hour": [moment and moment.hour for moment in inputs["asked_at"]]}
'''


def table(name: str, columns: dict[str, str], key: tuple[str, ...], event_time: str) -> SourceTable:
    return SourceTable(
        name=name, source=DroppedFiles(pattern=f"{name}/%Y.csv"), columns=columns, key=key, event_time=event_time, suite=name
    )


TRIPS = table("trips", {"driver": "string", "fare": "float", "ended_at": "timestamp"}, ("driver", "ended_at"), "ended_at")
DRIVERS = table("drivers", {"driver": "string", "district": "string", "since": "timestamp"}, ("driver",), "since")
READINGS = table("readings", {"city": "string", "level": "float", "read_at": "timestamp"}, ("city", "read_at"), "read_at")

TAXI = UseCase(
    name="taxi",
    description="Will a trip be late?",
    start=START,
    interval=DAY,
    sources=(TRIPS, DRIVERS, READINGS),
    examples=Examples(
        tables=("trips",),
        suite="training_set",
        sql="""
            SELECT driver || ended_at AS key, driver, 'JFK' AS city, ended_at AS asked_at,
                ended_at - INTERVAL 1 HOUR AS event_timestamp, fare > 10 AS label, ended_at AS label_time
            FROM trips WHERE ended_at >= $start AND ended_at < $end
        """,
    ),
    feature_service="taxi",
    feature_suite="features",
    entity=("driver",),
)

VIEWS = (
    MemoryView(
        plan=ViewPlan(
            name="driver_fares",
            table="online.taxi_driver_fares",
            join_keys={"driver": "string"},
            features={"mean_2d": "float", "trips_2d": "int"},
            ttl_seconds=3 * 86400.0,
        ),
        sql=DRIVER_FARES,
        tables=("trips",),
        lookback=2 * DAY,
    ),
    MemoryView(
        plan=ViewPlan(
            name="driver_home",
            table="online.taxi_driver_home",
            join_keys={"driver": "string"},
            features={"district": "string"},
            ttl_seconds=None,
        ),
        sql=DRIVER_HOME,
        tables=("drivers",),
    ),
    MemoryView(
        plan=ViewPlan(
            name="city_level",
            table="online.taxi_city_level",
            join_keys={"city": "string"},
            features={"level": "float"},
            ttl_seconds=7200.0,
        ),
        sql=CITY_LEVEL,
        tables=("readings",),
    ),
)
FUNCTION = RequestFunctionPlan(name="clock", function="clock", inputs={"asked_at": "timestamp"}, features={"hour": "int"})
PUSH = PushPlan(view="city_level", source="readings", sql=CITY_LEVEL, columns=dict(READINGS.columns))


def memory_features(lake: Lake) -> MemoryFeatures:
    """The feature store of this world, in memory."""
    return MemoryFeatures(TAXI, lake, VIEWS, functions=(FUNCTION,), source=CLOCK, pushes=(PUSH,))


def publish(lake: Lake, day: Interval, fares: dict[str | None, list[float]], districts: dict[str, str] | None = None) -> None:
    """One day's rows: a trip an hour and driver from 01:00 on, a reading of JFK every half hour, who joined at noon."""
    trips = [(driver, fare, day.start + (n + 1) * HOUR) for driver, of in fares.items() for n, fare in enumerate(of)]
    lake.replace("trips", rows(TRIPS, trips), day)
    readings = [("JFK", float(n), day.start + n * HOUR + 30 * MINUTE) for n in range(24)]
    lake.replace("readings", rows(READINGS, readings), day)
    lake.replace("drivers", rows(DRIVERS, [(d, home, day.start + 12 * HOUR) for d, home in (districts or {}).items()]), day)


def rows(of: SourceTable, values: list[tuple[object, ...]]) -> pa.Table:
    """Tuples in contract order as a table of contract types."""
    kinds = {"string": pa.string(), "float": pa.float64(), "timestamp": TIME}
    schema = pa.schema([(name, kinds[kind]) for name, kind in of.columns.items()])
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in values], schema=schema)


def entities(*asked: tuple[str | None, str | None, datetime]) -> pa.Table:
    """Requests `(driver, city, moment)`, asked at the moment itself."""
    drivers, cities, moments = zip(*asked, strict=True) if asked else ((), (), ())
    return pa.table(
        {
            "driver": pa.array(drivers, pa.string()),
            "city": pa.array(cities, pa.string()),
            "asked_at": pa.array(moments, TIME),
            "event_timestamp": pa.array(moments, TIME),
        }
    )
