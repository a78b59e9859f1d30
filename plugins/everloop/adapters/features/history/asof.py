"""The point-in-time join of one feature view: Polars reads the rows, one binary search an entity row finds which counts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from everloop.adapters.features.history.keys import AskedKeys
from everloop.adapters.features.history.latest import latest_known

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl
    import pyarrow as pa

    from everloop.ports import Lake

    Ints = npt.NDArray[np.int64]

ROWS_AT_ONCE = 4_000_000
"""Feature rows that are held at a time, about 1 GB with six columns; longer histories go by hash partitions of their keys."""


@dataclass(frozen=True, kw_only=True)
class AsofView:
    """A feature view as the join sees it.

    `join_keys`: column of the entity rows to column of `table`; none for a view without entity. `features`: column of `table`
    to column of the result. `types`: Arrow type of every one of these entity and result columns. `ttl`: how old a value may be,
    its end included; `None` for ever.
    """

    table: str
    join_keys: Mapping[str, str]
    features: Mapping[str, str]
    types: Mapping[str, Any]
    event_time: str
    created: str | None
    ttl: timedelta | None


class Engine(Protocol):
    """What computes a join: `join` below here, or another that gives equal rows."""

    def __call__(self, lake: Lake, view: AsofView, version: int | None, entities: pa.Table, moment: str) -> pa.Table:
        """The view's features, one row per row of `entities`, in order, by the rule of `join`."""


def join(
    lake: Lake, view: AsofView, version: int | None, entities: pa.Table, moment: str, *, rows_at_once: int = ROWS_AT_ONCE
) -> pa.Table:
    """The view's features, one row per row of `entities`, in order.

    A row counts for a moment when it was known by then (event time and created time at or before it) and its event time
    lies in `[moment - ttl, moment]`. Of these the latest event counts, of the same event the latest created; of rows equal in
    both the one with the largest values, null the largest, so that the order of files never matters. None, or a null key:
    nulls. A null created time counts as the event time. `version`: of the table, `None` for the latest.

    Memory: the entity rows, the result, and about `rows_at_once` feature rows.
    """
    import polars as pl
    import pyarrow as pa

    schema = pa.schema([(column, view.types[column]) for column in view.features.values()])
    asked = _Asked(view, entities, moment)
    pinned = lake.version(view.table) if version is None else version
    if asked.latest is None or pinned is None:
        return pa.table({name: pa.nulls(entities.num_rows, kind) for name, kind in zip(schema.names, schema.types, strict=True)})
    rows = _candidates(lake, view, pinned, asked)
    parts = list(_parts(rows, lake.count(view.table, pinned), asked, view, rows_at_once))
    found = pl.concat([values for _, values in parts])
    if len(parts) > 1:
        found = found.select(pl.all().gather(pl.concat([places for places, _ in parts]).arg_sort()))
    return found.rename(dict(zip(found.columns, schema.names, strict=True))).to_arrow().cast(schema)


class _Asked:
    """What is asked: a key's number and a moment (microseconds) for each entity row; without a moment it asks for no key."""

    def __init__(self, view: AsofView, entities: pa.Table, moment: str) -> None:
        import numpy as np
        import polars as pl

        moments = pl.Series(entities[moment])
        self.earliest: Any = moments.min()
        self.latest: Any = moments.max()
        self.columns = entities.select(list(view.join_keys))
        self.keys = AskedKeys(self.columns.columns, entities.num_rows)
        self.numbers = np.where(moments.is_not_null(), self.keys.numbers, -1)
        self.moments = _numbers(moments.fill_null(strategy="max").to_physical().fill_null(0))


def _candidates(lake: Lake, view: AsofView, version: int, asked: _Asked) -> pl.LazyFrame:
    """The rows of the table that could count for any of the keys and moments."""
    import polars as pl

    event = pl.col(view.event_time)
    created = pl.col(view.created) if view.created else event
    values = [pl.col(column).alias(name) for name, column in zip(_numbered("v", view.features), view.features, strict=True)]
    rows = lake.scan(view.table, version).filter(
        event <= asked.latest if view.ttl is None else event.is_between(asked.earliest - view.ttl, asked.latest)
    )
    wanted = [pl.Series(values) for values in asked.keys.values]
    keys = [pl.col(column).cast(one.dtype) for column, one in zip(view.join_keys.values(), wanted, strict=True)]
    for key, one in zip(keys, wanted, strict=True):
        rows = rows.filter(key.is_in(one.implode()))
    numbered = [key.alias(name) for key, name in zip(keys, _numbered("k", view.join_keys), strict=True)]
    return rows.select(*numbered, event.alias("event"), created.fill_null(event).alias("created"), *values)


def _parts(
    rows: pl.LazyFrame, in_all: int, asked: _Asked, view: AsofView, rows_at_once: int
) -> Iterator[tuple[pl.Series, pl.DataFrame]]:
    """The answer in parts, each with its places; each looks at the feature rows of its own share of the keys alone.

    `in_all`: how many rows there are at most; they are counted only where these are too many.
    """
    import numpy as np
    import polars as pl

    keys = _numbered("k", view.join_keys)
    parts = math.ceil(rows.select(pl.len()).collect(engine="streaming").item() / rows_at_once) if in_all > rows_at_once else 1
    if parts <= 1 or not keys:
        yield pl.Series(), _answer(rows, asked, view, slice(None))
        return
    share = pl.struct(keys).hash(seed=0) % parts
    shares = pl.DataFrame(pl.from_arrow(asked.columns.rename_columns(keys))).select(share).to_series().to_numpy()
    for part in range(parts):
        places = np.flatnonzero(shares == part)
        yield pl.Series(places), _answer(rows.filter(share == part), asked, view, places)


def _answer(rows: pl.LazyFrame, asked: _Asked, view: AsofView, places: Ints | slice) -> pl.DataFrame:
    """The values `v0`, ... of the row that counts for each of the entity rows at `places`."""
    import numpy as np
    import polars as pl

    keys, values = _numbered("k", view.join_keys), _numbered("v", view.features)
    known = rows.collect(engine="streaming")
    numbers = asked.keys.of([known[key].to_arrow() for key in keys], known.height)
    events, created = _numbers(known["event"]), _numbers(known["created"])
    order = _ranked(known, numbers, events, created, values)
    events, known_from = events[order], np.maximum(events, created)[order]
    moments = asked.moments[places]
    rank = latest_known(numbers[order], known_from, asked.numbers[places], moments)
    counts = rank >= 0
    if view.ttl is not None and known.height:
        counts &= events[rank] >= moments - view.ttl // timedelta(microseconds=1)
    row = pl.Series(order[rank] if known.height else rank)
    taken = pl.select(pl.when(pl.Series(counts)).then(row)).to_series()
    return known.select(pl.col(values).gather(taken))


def _ranked(known: pl.DataFrame, numbers: Ints, events: Ints, created: Ints, values: list[str]) -> Ints:
    """The rows' places by key, event, created; rows equal in all of these by value, null last."""
    import numpy as np
    import polars as pl

    order = np.lexsort((created, events, numbers))
    equal = np.ones(max(0, order.size - 1), dtype=bool)
    for column in (events, created, numbers):
        ranked = column[order]
        equal &= ranked[1:] == ranked[:-1]
    if not equal.any():
        return order
    by_value = known.select(pl.arg_sort_by(pl.Series(numbers), "event", "created", *values, nulls_last=True))
    return _numbers(by_value.to_series())


def _numbered(prefix: str, columns: Mapping[str, str]) -> list[str]:
    return [f"{prefix}{i}" for i in range(len(columns))]


def _numbers(column: pl.Series) -> Ints:
    import numpy as np

    return column.to_physical().to_numpy().astype(np.int64, copy=False)
