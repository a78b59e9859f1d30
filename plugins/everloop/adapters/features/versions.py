"""What a feature table holds of an interval that is computed again: all that was known before, and what is known now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.adapters.features.stores.sql import TIMES
from everloop.release import ViewPlan

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from everloop.ports import Lake

ROUNDING = 1e-9
"""Relative difference of two floats below which they are the same: a sum in another order is no correction."""


def with_corrections(lake: Lake, view: ViewPlan, standing: pa.Table, computed: pa.Table, known_at: datetime) -> pa.Table:
    """`standing`, and a new version of every fact of which `computed` says otherwise, sorted.

    A fact is join keys and event time; its latest `created` counts. A new version is created at `known_at`, or just after the
    version that it corrects; one that arrived late, not before `known_at`; one that vanished has null features. Both tables
    have the columns of the view's lake table. Nothing changed: `standing` itself.
    """
    import pyarrow as pa

    schema = computed.schema
    standing = standing.select(schema.names).cast(schema)
    found = lake.query_rows(_corrections_sql(view), {"standing": standing, "computed": computed}, {"known_at": known_at})
    rows = pa.concat_tables([standing, found.select(schema.names).cast(schema)])
    return rows.sort_by([(name, "ascending") for name in (*view.join_keys, *TIMES)])


def _corrections_sql(view: ViewPlan) -> str:
    fact = [_quote(name) for name in (*view.join_keys, "event_timestamp")]
    features = {_quote(name): kind for name, kind in view.features.items()}
    keys = ", ".join(f"coalesce(n.{name}, s.{name}) AS {name}" for name in fact)
    values = ", ".join(f"n.{name}" for name in features)
    latest = f"QUALIFY row_number() OVER (PARTITION BY {', '.join(fact)} ORDER BY created DESC) = 1"
    known = " OR ".join(f"s.{name} IS NOT NULL" for name in features)
    changed = " OR ".join(_differs(name, kind) for name, kind in features.items())
    return f"""
        WITH s AS (SELECT *, true AS there FROM standing {latest}), n AS (SELECT *, true AS there FROM computed {latest})
        SELECT {keys}, {values}, greatest(n.created, $known_at, s.created + INTERVAL 1 MICROSECOND) AS created
        FROM n FULL JOIN s ON {" AND ".join(f"n.{name} IS NOT DISTINCT FROM s.{name}" for name in fact)}
        WHERE CASE WHEN s.there IS NULL THEN true WHEN n.there IS NULL THEN {known} ELSE {changed} END
    """


def _differs(name: str, kind: str) -> str:
    distinct = f"n.{name} IS DISTINCT FROM s.{name}"
    if kind != "float":
        return f"({distinct})"
    near = f"abs(n.{name} - s.{name}) <= {ROUNDING} * greatest(abs(n.{name}), abs(s.{name}))"
    return f"({distinct} AND NOT coalesce(isfinite(n.{name}) AND isfinite(s.{name}) AND {near}, false))"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
