"""Which intervals the monitor has not looked at yet, and the outcomes that became known in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from everloop.interval import Interval, grid
from everloop.ports import Accounts, Lake, Measurements, TrafficLog
from everloop.steps.labels import booleans
from everloop.use_case import UseCase

CURSOR = "monitor"
REWORKED = "monitor:reworked"
"""The cursor (wall clock) of the intervals whose labels were recorded again."""
SLACK = timedelta(minutes=1)
"""How far the clocks of the loop and of its database may differ, and how long an account may take to be written."""

Example = tuple[str, bool, datetime, datetime]
Outcome = tuple[str, bool, datetime]


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


def reworked(accounts: Accounts, measurements: Measurements, use_case: UseCase) -> list[Interval]:
    """The monitored intervals that ingestion has worked again since their labels were recorded, oldest first."""
    monitored = measurements.cursor(use_case.name, CURSOR)
    since = measurements.cursor(use_case.name, REWORKED)
    if monitored is None or since is None:
        return []
    again = accounts.read(use_case.name, recorded_since=since - SLACK)
    return sorted({account.interval for account in again if account.interval.end <= monitored})


def outcomes(
    lake: Lake,
    traffic: TrafficLog,
    use_case: UseCase,
    intervals: Sequence[Interval],
    again: Sequence[Interval] = (),
    known_at: datetime | None = None,
) -> dict[str, Any]:
    """Record the labels that became known in `intervals`, for the rows that were predicted, whenever that was.

    In the intervals `again`, which were worked once more, labels that came late are recorded and corrected ones replaced, as
    known from `known_at` (now, data time) on. Labels are those of the use case's examples.
    Returns `{"known": labels in the lake, "recorded": rows changed}`.
    """
    known = recorded = 0
    for interval in intervals:
        examples = _examples(lake, use_case, interval)
        found = _new(traffic, use_case, interval, examples)
        known, recorded = known + len(examples), recorded + traffic.record_outcomes(use_case.name, found)
    for interval in again:
        examples = _examples(lake, use_case, interval)
        found = [*_new(traffic, use_case, interval, examples), *_corrected(traffic, use_case, examples)]
        late = [(key, label, max(moment, known_at or moment)) for key, label, moment in found]
        known, recorded = known + len(examples), recorded + traffic.record_outcomes(use_case.name, late)
    return {"known": known, "recorded": recorded}


def _new(traffic: TrafficLog, use_case: UseCase, interval: Interval, examples: Sequence[Example]) -> list[Outcome]:
    """The labels of rows that were predicted and have none yet."""
    if not examples:
        return []
    # A client may ask a little before or after the moment that the examples assume.
    since = min(asked for _, _, _, asked in examples) - use_case.interval
    waiting = set(traffic.keys_without_outcome(use_case.name, Interval(since, interval.end)))
    return [(key, label, known_at) for key, label, known_at, _ in examples if key in waiting]


def _corrected(traffic: TrafficLog, use_case: UseCase, examples: Sequence[Example]) -> list[Outcome]:
    """The labels of rows that have another one."""
    labels = traffic.labels(use_case.name, [key for key, _, _, _ in examples])
    return [(key, label, known_at) for key, label, known_at, _ in examples if labels.get(key, label) != label]


def _examples(lake: Lake, use_case: UseCase, interval: Interval) -> list[Example]:
    """`(key, label, label_time, event_timestamp)` of the examples whose label became known in `interval`."""
    columns = ("key", "label", "label_time", "event_timestamp")
    sql = f"SELECT {', '.join(columns)} FROM ({use_case.examples.sql}) WHERE label IS NOT NULL"
    tables = dict.fromkeys(use_case.examples.tables)
    rows = lake.query(sql, tables, {"start": interval.start, "end": interval.end})
    rows = rows.set_column(rows.column_names.index("label"), "label", booleans(rows["label"], use_case))
    return list(zip(*(rows[name].to_pylist() for name in columns), strict=True))
