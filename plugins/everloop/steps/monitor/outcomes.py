"""Which intervals the monitor has not looked at yet, and the outcomes that became known in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from everloop.interval import Interval, grid
from everloop.ports import Lake, Measurements, TrafficLog
from everloop.use_case import UseCase

CURSOR = "monitor"


def pending(measurements: Measurements, lake: Lake, use_case: UseCase) -> list[Interval]:
    """The intervals that every source table has published, from the cursor on, oldest first, up to the first gap.

    Stopping at a gap keeps an interval that is published out of turn from moving the cursor past one that comes later.
    """
    published = set.intersection(*(lake.intervals(table.name) for table in use_case.sources))
    cursor = measurements.cursor(use_case.name, CURSOR)
    waiting = {start for start in published if cursor is None or start >= cursor}
    if not waiting:
        return []
    first = min(waiting) if cursor is None else max(cursor, use_case.start)
    found = []
    for interval in grid(use_case.start, use_case.interval, max(waiting) + use_case.interval, after=first):
        if interval.start not in waiting:
            break
        found.append(interval)
    return found


def outcomes(lake: Lake, traffic: TrafficLog, use_case: UseCase, intervals: Sequence[Interval]) -> dict[str, Any]:
    """Record the labels that became known in `intervals`, for the rows that were predicted, whenever that was.

    Labels are those of the use case's examples. Returns `{"known": labels in the lake, "recorded": rows changed}`.
    """
    known = recorded = 0
    for interval in intervals:
        examples = _examples(lake, use_case, interval)
        known += len(examples)
        if examples:
            # A client may ask a little before or after the moment that the examples assume.
            since = min(asked for _, _, _, asked in examples) - use_case.interval
            waiting = set(traffic.keys_without_outcome(use_case.name, Interval(since, interval.end)))
            found = [(key, label, known_at) for key, label, known_at, _ in examples if key in waiting]
            recorded += traffic.record_outcomes(use_case.name, found)
    return {"known": known, "recorded": recorded}


def _examples(lake: Lake, use_case: UseCase, interval: Interval) -> list[tuple[str, bool, datetime, datetime]]:
    """`(key, label, label_time, event_timestamp)` of the examples whose label became known in `interval`."""
    columns = ("key", "label", "label_time", "event_timestamp")
    sql = f"SELECT {', '.join(columns)} FROM ({use_case.examples.sql}) WHERE label IS NOT NULL"
    tables = dict.fromkeys(use_case.examples.tables)
    rows = lake.query(sql, tables, {"start": interval.start, "end": interval.end})
    return list(zip(*(rows[name].to_pylist() for name in columns), strict=True))
