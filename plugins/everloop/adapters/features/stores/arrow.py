"""The columns of feature tables as Arrow has them."""

from __future__ import annotations

import pyarrow as pa

from everloop.adapters.features.stores.sql import online_columns
from everloop.kinds import ARROW_TYPES
from everloop.release import ViewPlan


def online_schema(view: ViewPlan) -> pa.Schema:
    """The columns of the view's online table, and of its lake table: join keys, features, the two times."""
    return pa.schema([(name, ARROW_TYPES[kind]) for name, kind in online_columns(view).items()])
