"""The online stores that must behave alike, and views to try them with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from everloop.adapters.features.stores.arrow import online_schema
from everloop.release import FeaturePlan, ViewPlan

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
RATES = ViewPlan(
    name="rates",
    table="online.demo_rates",
    join_keys={"carrier": "string"},
    features={"rate": "float", "flights": "int"},
    ttl_seconds=3600.0,
)
ROUTES = ViewPlan(
    name="routes",
    table="online.demo_routes",
    join_keys={"origin": "string", "dest": "string"},
    features={"busy": "bool"},
    ttl_seconds=None,
)
PLAN = FeaturePlan(service="demo", request={"carrier": "string", "origin": "string", "dest": "string"}, views=(RATES, ROUTES))


def rate(carrier: str | None, value: float | None, event: datetime, created: datetime | None = None) -> dict[str, Any]:
    return {"carrier": carrier, "rate": value, "flights": 7, "event_timestamp": event, "created": created or event}


def table(view: ViewPlan, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows in the view's types."""
    return pa.Table.from_pylist(list(rows), schema=online_schema(view))
