"""A small feature repository: one view of each kind."""

from datetime import timedelta
from typing import Any

from feast import Entity, FeatureService, FeatureView, Field, PushSource, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String, UnixTimestamp

from everloop.adapters.features.source import DeltaSource
from fakes.taxi import CITY_LEVEL, DRIVER_FARES, DRIVER_HOME

driver = Entity(name="driver", value_type=ValueType.STRING)
city = Entity(name="city", value_type=ValueType.STRING)

driver_fares = FeatureView(
    name="driver_fares",
    entities=[driver],
    ttl=timedelta(days=3),
    schema=[Field(name="mean_2d", dtype=Float64), Field(name="trips_2d", dtype=Int64)],
    source=DeltaSource(table="driver_fares", tables=["trips"], lookback=timedelta(days=2), sql=DRIVER_FARES),
)
driver_home = FeatureView(
    name="driver_home",
    entities=[driver],
    ttl=None,
    schema=[Field(name="district", dtype=String)],
    source=DeltaSource(table="driver_home", tables=["drivers"], sql=DRIVER_HOME),
)
city_level = FeatureView(
    name="city_level",
    entities=[city],
    ttl=timedelta(hours=2),
    schema=[Field(name="level", dtype=Float64)],
    source=PushSource(
        name="city_push",
        batch_source=DeltaSource(table="city_level", tables=["readings"], pushed_from="readings", sql=CITY_LEVEL),
    ),
)


@on_demand_feature_view(
    sources=[RequestSource(name="call", schema=[Field(name="asked_at", dtype=UnixTimestamp)])],
    mode="python",
    schema=[Field(name="hour", dtype=Int64)],
)
def clock(inputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The hour of the day, UTC."""
    return {"hour": [moment and moment.hour for moment in inputs["asked_at"]]}


taxi = FeatureService(name="taxi", features=[driver_fares, driver_home, city_level, clock])
