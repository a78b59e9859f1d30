"""How many labels a use case has: from its lake, or from its sources before anything is ingested."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from everloop.decide.fairness import MISSING
from everloop.decide.release.gate.sample_size import Labels
from everloop.interval import Interval, grid
from everloop.ports import Lake, Source
from everloop.use_case import UseCase

if TYPE_CHECKING:
    import pyarrow as pa

WEEK = timedelta(days=7)
LATEST = 8 * WEEK
"""The time whose labels are counted in the lake."""
BATCHES = 100
"""Batches of a source's table that are read at most: what has more rows is not small."""

KNOWN = "label IS NOT NULL"

Query = Callable[[str, Interval], "pa.Table"]


def label_count(lake: Lake, source: Source, use_case: UseCase) -> Labels | None:
    """What the lake's latest weeks, or else the sources' latest interval, tell; `None` where there is nothing."""
    tables = use_case.examples.tables
    published = set[datetime].intersection(*(lake.intervals(table) for table in tables))
    if published:
        end = max(published) + use_case.interval
        span = Interval(max(min(published), end - LATEST), end)
        return _counted(use_case, span, lambda sql, within: lake.query(sql, dict.fromkeys(tables), _bounds(within)))
    latest = _latest(source, use_case)
    if latest is None:
        return None
    frames = {table: _extracted(source, use_case, table, latest) for table in tables}
    return _counted(use_case, latest, lambda sql, within: lake.query_rows(sql, frames, _bounds(within)))


def _bounds(span: Interval) -> dict[str, Any]:
    return {"start": span.start, "end": span.end}


def _latest(source: Source, use_case: UseCase) -> Interval | None:
    """The last interval that every table of the examples has completed."""
    ends = [source.watermark(use_case.source(table)) for table in use_case.examples.tables]
    complete = [end for end in (*ends, use_case.end) if end is not None]
    if None in ends or not complete:
        return None
    found = list(grid(use_case.start, use_case.interval, min(complete), min(complete) - use_case.interval))
    return found[-1] if found else None


def _extracted(source: Source, use_case: UseCase, name: str, span: Interval) -> pa.Table:
    import pyarrow as pa

    from everloop.kinds import ARROW_TYPES

    table = use_case.source(name)
    batches = list(islice(source.extract(table, span), BATCHES))
    contract = pa.schema([(column, ARROW_TYPES[kind]) for column, kind in table.columns.items()])
    return pa.Table.from_batches(batches) if batches else contract.empty_table()


def _counted(use_case: UseCase, span: Interval, query: Query) -> Labels | None:
    weeks = (span.end - span.start) / WEEK
    counts = "count(*) AS n, avg(CAST(label AS INT)) AS positive"
    (total,) = query(f"SELECT {counts} FROM ({use_case.examples.sql}) WHERE {KNOWN}", span).to_pylist()
    if not total["n"]:
        return None
    groups = {column: _groups(use_case, column, query, span, weeks) for column in use_case.fairness.columns}
    return Labels(per_week=total["n"] / weeks, positive=total["positive"], groups=groups)


def _groups(use_case: UseCase, column: str, query: Query, span: Interval, weeks: float) -> dict[str, tuple[float, float]]:
    chosen = f'CAST("{column}" AS VARCHAR) AS name, count(*) AS n, CAST(sum(CAST(label AS INT)) AS BIGINT) AS positives'
    found = query(f"SELECT {chosen} FROM ({use_case.examples.sql}) WHERE {KNOWN} GROUP BY ALL", span).to_pylist()
    kept = [row for row in found if use_case.fairness.missing or row["name"] is not None]
    return {row["name"] or MISSING: (row["n"] / weeks, row["positives"] / weeks) for row in kept}
