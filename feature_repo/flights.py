"""What is known of a flight two hours before it should leave: how its like fared lately, the aircraft, the weather, the hour."""

from datetime import timedelta
from typing import Any

from feast import Entity, FeatureService, FeatureView, Field, PushSource, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, UnixTimestamp

from everloop.adapters.features.source import DeltaSource

carrier = Entity(name="carrier", value_type=ValueType.STRING, description="Two-letter airline code")
origin = Entity(name="origin", value_type=ValueType.STRING, description="Airport of departure")
dest = Entity(name="dest", value_type=ValueType.STRING, description="Airport of arrival; with origin, the route")
airframe = Entity(name="aircraft", join_keys=["tailnum"], value_type=ValueType.STRING, description="One aircraft, by tail number")

TRAILING = timedelta(days=28)
# A rate is made every interval, of seven days: after two missed ones it says nothing of today.
RATE_TTL = timedelta(days=15)


def trailing(keys: tuple[str, ...], *measures: str) -> str:
    """SQL of one row per key, from the flights whose outcome was final in the 28 days before `$end`."""
    known = " AND ".join(f"{key} IS NOT NULL" for key in keys)
    return f"""
        SELECT {", ".join([*keys, *measures])}, $end AS event_timestamp, $end AS created
        FROM (
            SELECT *, CAST(arrival_delay IS NULL OR arrival_delay >= 15 AS DOUBLE) AS late FROM flights
            WHERE closed_at >= $end - INTERVAL 28 DAY AND closed_at < $end AND {known}
        )
        GROUP BY {", ".join(keys)}
    """


RATE_7D = "avg(late) FILTER (WHERE closed_at >= $end - INTERVAL 7 DAY) AS rate_7d"
RATE_28D = "avg(late) AS rate_28d"
FLIGHTS_28D = "count(*) AS flights_28d"

carrier_delay = FeatureView(
    name="carrier_delay",
    entities=[carrier],
    ttl=RATE_TTL,
    schema=[Field(name="rate_7d", dtype=Float64), Field(name="rate_28d", dtype=Float64), Field(name="flights_28d", dtype=Int64)],
    source=DeltaSource(
        table="carrier_delay",
        tables=["flights"],
        lookback=TRAILING,
        sql=trailing(("carrier",), RATE_7D, RATE_28D, FLIGHTS_28D),
    ),
)

origin_delay = FeatureView(
    name="origin_delay",
    entities=[origin],
    ttl=RATE_TTL,
    schema=[Field(name="rate_7d", dtype=Float64), Field(name="rate_28d", dtype=Float64)],
    source=DeltaSource(table="origin_delay", tables=["flights"], lookback=TRAILING, sql=trailing(("origin",), RATE_7D, RATE_28D)),
)

route_delay = FeatureView(
    name="route_delay",
    entities=[origin, dest],
    ttl=RATE_TTL,
    schema=[Field(name="rate_28d", dtype=Float64), Field(name="flights_28d", dtype=Int64)],
    source=DeltaSource(
        table="route_delay",
        tables=["flights"],
        lookback=TRAILING,
        sql=trailing(("origin", "dest"), RATE_28D, FLIGHTS_28D),
    ),
)

aircraft_delay = FeatureView(
    name="aircraft_delay",
    entities=[airframe],
    ttl=RATE_TTL,
    schema=[Field(name="rate_28d", dtype=Float64), Field(name="flights_28d", dtype=Int64)],
    source=DeltaSource(
        table="aircraft_delay",
        tables=["flights"],
        lookback=TRAILING,
        sql=trailing(("tailnum",), RATE_28D, FLIGHTS_28D),
    ),
)

aircraft = FeatureView(
    name="aircraft",
    entities=[airframe],
    ttl=None,
    schema=[Field(name="year", dtype=Float64), Field(name="engines", dtype=Float64), Field(name="seats", dtype=Float64)],
    source=DeltaSource(
        table="aircraft",
        tables=["planes"],
        sql="""
            -- A plane counts from its first flight on, and is known from the end of the week in which it was registered.
            SELECT tailnum, year, engines, seats, registered_at AS event_timestamp, $end AS created
            FROM planes
            WHERE registered_at >= $start AND registered_at < $end
        """,
    ),
)

weather_rows = DeltaSource(
    table="weather_hourly",
    tables=["weather"],
    pushed_from="weather",
    # An observation is published a quarter of an hour after it was made.
    sql="""
        SELECT
            origin, temp, dewp, humid, wind_speed, wind_gust, precip, pressure, visib,
            observed_at + INTERVAL 15 MINUTE AS event_timestamp,
            observed_at + INTERVAL 15 MINUTE AS created
        FROM weather
        WHERE observed_at >= $start AND observed_at < $end
    """,
)

weather_hourly = FeatureView(
    name="weather_hourly",
    entities=[origin],
    ttl=timedelta(hours=6),
    schema=[
        Field(name=name, dtype=Float64)
        for name in ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
    ],
    source=PushSource(name="weather_push", batch_source=weather_rows),
)

booking = RequestSource(
    name="booking",
    schema=[
        Field(name="scheduled_departure", dtype=UnixTimestamp),
        Field(name="scheduled_arrival", dtype=Int64),
        Field(name="distance", dtype=Float64),
    ],
)


@on_demand_feature_view(
    sources=[booking],
    mode="python",
    schema=[
        Field(name="departure_minute", dtype=Int64),
        Field(name="arrival_minute", dtype=Int64),
        Field(name="weekday", dtype=Int64),
        Field(name="distance", dtype=Float64),
    ],
)
def schedule(inputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Minute of the day of departure (New York) and arrival (as the timetable prints it, hhmm), weekday (Monday is 0), miles."""
    from datetime import UTC
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("America/New_York")
    moments = [m and (m if m.tzinfo else m.replace(tzinfo=UTC)).astimezone(zone) for m in inputs["scheduled_departure"]]
    return {
        "departure_minute": [m and m.hour * 60 + m.minute for m in moments],
        "arrival_minute": [None if hhmm is None else hhmm // 100 * 60 + hhmm % 100 for hhmm in inputs["scheduled_arrival"]],
        "weekday": [m and m.weekday() for m in moments],
        "distance": list(inputs["distance"]),
    }


flights = FeatureService(
    name="flights",
    features=[carrier_delay, origin_delay, route_delay, aircraft_delay, aircraft, weather_hourly, schedule],
)
