"""The point-in-time join of one feature view: Polars reads the rows, one binary search per entity row finds the version."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

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
    asked = _asked(view, entities, moment)
    pinned = lake.version(view.table) if version is None else version
    rows = _candidates(lake, view, pinned, asked)
    if rows is None or pinned is None:
        return pa.table({name: pa.nulls(entities.num_rows, kind) for name, kind in zip(schema.names, schema.types, strict=True)})
    # What the log says is never too few, and spares a pass over the files to count.
    small = lake.rows(view.table, pinned) <= rows_at_once
    answers = [_answer(rows, asked, view)] if small else list(_parts(rows, asked, view, rows_at_once))
    found = pl.concat(answers).sort("n").drop("n")
    return found.rename(dict(zip(found.columns, schema.names, strict=True))).to_arrow().cast(schema)


def _asked(view: AsofView, entities: pa.Table, moment: str) -> pl.DataFrame:
    """The entity rows' keys `k0`, ..., `moment` and position `n`."""
    import polars as pl

    chosen = entities.select([*view.join_keys, moment]).rename_columns([*_numbered("k", view.join_keys), "moment"])
    return pl.DataFrame(pl.from_arrow(chosen)).with_row_index("n")


def _candidates(lake: Lake, view: AsofView, pinned: int | None, asked: pl.DataFrame) -> pl.LazyFrame | None:
    """The rows of the table that could count for any of the moments; `None` when there are none, or no table."""
    import polars as pl

    earliest, latest = asked.get_column("moment").min(), asked.get_column("moment").max()
    if latest is None or pinned is None:
        return None
    event = pl.col(view.event_time)
    created = pl.col(view.created) if view.created else event
    keys = [
        pl.col(column).cast(asked.schema[key]).alias(key)
        for key, column in zip(_numbered("k", view.join_keys), view.join_keys.values(), strict=True)
    ]
    values = [pl.col(column).alias(name) for name, column in zip(_numbered("v", view.features), view.features, strict=True)]
    within = event <= latest if view.ttl is None else event.is_between(earliest - view.ttl, latest)  # type: ignore[operator]
    rows = lake.scan(view.table, pinned).filter(within)
    return rows.select(*keys, event.alias("event"), created.fill_null(event).alias("created"), *values)


def _parts(rows: pl.LazyFrame, asked: pl.DataFrame, view: AsofView, rows_at_once: int) -> Iterator[pl.DataFrame]:
    """The answer in parts, each of which looks at the feature rows of its own share of the keys alone."""
    import polars as pl

    parts = math.ceil(rows.select(pl.len()).collect(engine="streaming").item() / rows_at_once)
    if parts <= 1 or not view.join_keys:
        yield _answer(rows, asked, view)
        return
    share = pl.struct(_numbered("k", view.join_keys)).hash(seed=0) % parts
    for part in range(parts):
        yield _answer(rows.filter(share == part), asked.filter(share == part), view)


def _answer(rows: pl.LazyFrame, asked: pl.DataFrame, view: AsofView) -> pl.DataFrame:
    """`n` and the values `v0`, ... of the row that counts for each of `asked`."""
    import polars as pl

    keys, values = _numbered("k", view.join_keys), _numbered("v", view.features)
    known, wanted = _with_ids(rows, asked, keys)
    known = known.sort("id", "event", "created", *values, nulls_last=True)
    events, moments = _numbers(known["event"]), _numbers(asked["moment"].fill_null(strategy="zero"))
    known_from = known.select(pl.max_horizontal("event", "created")).to_series()
    place = latest_known(_numbers(known["id"]), _numbers(known_from), wanted, moments)
    counts = place >= 0
    if view.ttl is not None and known.height:
        counts &= events[place] >= moments - view.ttl // timedelta(microseconds=1)
    taken = pl.select(pl.when(pl.Series(counts)).then(pl.Series(place))).to_series()
    return asked.select("n").hstack(known.select(pl.col(values).gather(taken)))


def _with_ids(rows: pl.LazyFrame, asked: pl.DataFrame, keys: list[str]) -> tuple[pl.DataFrame, Ints]:
    """The rows whose keys are asked for, with a number `id` in place of the keys; the numbers asked for, -1 for none."""
    import polars as pl

    if not keys:
        known = rows.with_columns(id=pl.lit(0, pl.Int64)).collect(engine="streaming")
        wanted = asked.with_columns(id=pl.lit(0, pl.Int64))
    else:
        ids = asked.select(keys).drop_nulls().unique().with_row_index("id")
        known = rows.join(ids.lazy(), on=keys).drop(keys).collect(engine="streaming")
        wanted = asked.join(ids, on=keys, how="left", maintain_order="left")
    some_time = pl.col("moment").is_not_null()
    return known, _numbers(wanted.select(pl.when(some_time).then(pl.col("id").cast(pl.Int64)).fill_null(-1)).to_series())


def latest_known(keys: Ints, known_from: Ints, asked: Ints, moments: Ints) -> Ints:
    """For each asked key and moment the last of the key's rows among those known by then; -1 for none.

    The rows are sorted by key, and within a key by rank: of two known rows the later one counts. One is looked up by the
    time when it became known, so a row that was known late must not hide one that ranks higher: at each time it is the
    highest rank so far that counts.
    """
    import numpy as np

    if not keys.size:
        return np.full(asked.size, -1)
    order = np.lexsort((known_from, keys))
    best = np.maximum.accumulate(order)  # ranks of a key all lie above those of the key before
    times = np.unique(known_from)

    def line(key: Ints, time: Ints) -> Ints:
        """Key and time as one number that sorts like both: times count by their order, so that it fits."""
        return key * (times.size + 1) + np.searchsorted(times, time, side="right")

    at = np.searchsorted(line(keys[order], known_from[order]), line(asked, moments), side="right") - 1
    found = best[at]
    return np.where((at >= 0) & (keys[found] == asked), found, -1)


def _numbered(prefix: str, columns: Mapping[str, str]) -> list[str]:
    return [f"{prefix}{i}" for i in range(len(columns))]


def _numbers(column: pl.Series) -> Ints:
    import numpy as np

    return column.to_physical().to_numpy().astype(np.int64, copy=False)
