"""The columns of feature tables as Arrow has them."""

from __future__ import annotations

import pyarrow as pa

from everloop.adapters.features.stores.sql import online_columns
from everloop.release import ViewPlan

TIMESTAMP = pa.timestamp("us", "UTC")

ARROW_TYPES = {
    "string": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": TIMESTAMP,
}


def online_schema(view: ViewPlan) -> pa.Schema:
    """The columns of the view's online table, and of its lake table: join keys, features, the two times."""
    return pa.schema([(name, ARROW_TYPES[kind]) for name, kind in online_columns(view).items()])
