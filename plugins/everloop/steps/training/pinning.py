"""Pin what a training run sees: the version of every table, and the interval of labels."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from everloop.errors import DataError
from everloop.interval import Interval
from everloop.ports import Lake
from everloop.use_case import UseCase


def snapshot(lake: Lake, use_case: UseCase, *, through: datetime | None = None) -> dict[str, Any]:
    """`{"versions": {table: version}, "start", "end"}`: labels known in `[start, end)` at these versions.

    `end` is the end of the last interval that every source table has published, or, with `through`, of the last one that
    ended by then. `start` is the use case's, or `TrainingPolicy.window` before the end. Raises `DataError` when there is none.
    """
    end = min(_published_through(lake, use_case, table.name, through) for table in use_case.sources)
    window = use_case.training.window
    start = use_case.start if window is None else max(use_case.start, end - window)
    versions = {name: lake.version(name) for name in lake.tables() if name != "predictions" and not name.endswith("_quarantine")}
    return {"versions": versions, **Interval(start, end).to_json()}


def _published_through(lake: Lake, use_case: UseCase, table: str, through: datetime | None) -> datetime:
    ends = [start + use_case.interval for start in lake.intervals(table)]
    if found := [end for end in ends if through is None or end <= through]:
        return max(found)
    asked = f" that ended by {through:%Y-%m-%d %H:%M}" if through else ""
    raise DataError(f'Table "{table}" has no published interval{asked}: run {use_case.name}_ingest first')
