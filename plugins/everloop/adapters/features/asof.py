"""The point-in-time join of one feature view, as DuckDB SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from everloop.ports import Lake


@dataclass(frozen=True, kw_only=True)
class AsofView:
    """A feature view as the join sees it.

    `join_keys`: column of the entity rows to column of `table`. `features`: column of `table` to column of the result.
    `types`: Arrow type of every one of these entity and result columns. `ttl`: how old a value may be, its end included;
    `None` for ever.
    """

    table: str
    join_keys: Mapping[str, str]
    features: Mapping[str, str]
    types: Mapping[str, Any]
    event_time: str
    created: str | None
    ttl: timedelta | None


def join(lake: Lake, view: AsofView, version: int | None, entities: pa.Table, moment: str) -> pa.Table:
    """The view's features, one row per row of `entities`, in order.

    A row counts for a moment when it was known by then (event time and created time at or before it) and its event time
    lies in `[moment - ttl, moment]`. Of these the latest event counts, of the same event the latest created. None, or a null
    key: nulls.
    """
    import pyarrow as pa

    schema = pa.schema([(column, view.types[column]) for column in view.features.values()])
    known = _candidates(lake, view, version, entities, moment)
    if known is None or not entities.num_rows:
        return pa.table({name: pa.nulls(entities.num_rows, kind) for name, kind in zip(schema.names, schema.types, strict=True)})
    asked = entities.select([*view.join_keys, moment]).rename_columns([*(f"k{i}" for i in range(len(view.join_keys))), "moment"])
    asked = asked.append_column("n", pa.array(range(asked.num_rows), pa.int64()))
    parameters = {} if view.ttl is None else {"ttl": view.ttl}
    return lake.query_rows(_join_sql(view), {"asked": asked, "known": known}, parameters).cast(schema)


def _candidates(lake: Lake, view: AsofView, version: int | None, entities: pa.Table, moment: str) -> pa.Table | None:
    """The rows of the table that could count for any of the moments; `None` when there is no table."""
    import pyarrow.compute as pc

    if lake.version(view.table) is None:
        return None
    bounds: Mapping[str, Any] = pc.min_max(entities[moment]).as_py()
    if bounds["min"] is None:
        return None
    keys = [f"{_quote(column)} AS k{i}" for i, column in enumerate(view.join_keys.values())]
    event = _quote(view.event_time)
    created = f"coalesce({_quote(view.created)}, {event})" if view.created else event
    features = [f"{_quote(column)} AS v{i}" for i, column in enumerate(view.features)]
    within, parameters = f"{event} <= $latest", {"latest": bounds["max"]}
    if view.ttl is not None:
        within, parameters = f"{within} AND {event} >= $earliest", {**parameters, "earliest": bounds["min"] - view.ttl}
    columns = ", ".join([*keys, f"{event} AS event_time", f"{created} AS created", *features])
    return lake.query(f"SELECT {columns} FROM {_quote(view.table)} WHERE {within}", {view.table: version}, parameters)


def _join_sql(view: AsofView) -> str:
    """One ASOF join by the moment a row was known, then a look at the best row known by then.

    ASOF compares one column alone, so a row that was created late would hide, or be hidden by, the wrong one: `seen` says
    for each moment at which something became known which version was the best from then on.
    """
    keys = [f"k{i}" for i in range(len(view.join_keys))]
    values = [f"v{i}" for i in range(len(view.features))]
    by_key = ", ".join(keys)
    fresh = "" if view.ttl is None else "AND f.event_time >= a.moment - $ttl"
    selected = ", ".join(f"f.{value} AS {_quote(name)}" for value, name in zip(values, view.features.values(), strict=True))
    return f"""
        WITH f AS (
            SELECT *, greatest(event_time, created) AS known_from,
                row_number() OVER (PARTITION BY {by_key} ORDER BY event_time, created, {", ".join(values)}) AS version
            FROM known
        ), seen AS (
            SELECT {by_key}, known_from, max(version) OVER (
                PARTITION BY {by_key} ORDER BY known_from RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS version
            FROM f
        )
        SELECT {selected}
        FROM asked AS a
        ASOF LEFT JOIN seen AS s ON {" AND ".join(f"a.{key} = s.{key}" for key in keys)} AND a.moment >= s.known_from
        LEFT JOIN f ON {" AND ".join(f"f.{key} = s.{key}" for key in keys)} AND f.version = s.version {fresh}
        ORDER BY a.n
    """


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
