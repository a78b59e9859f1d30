"""The prediction log in the lake: each day of answers, for what looks further back than the operational database keeps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from everloop.interval import Interval
from everloop.ports import AnsweredDays, Lake
from everloop.use_case import UseCase

TABLE = "prediction_log"
"""Columns: `ports.AnsweredDays`. Its intervals are the days (UTC) on which the rows were answered."""

CLOSED_AFTER = timedelta(hours=1)
"""A day counts as over so long after midnight: no transaction that ships its last rows takes longer."""

_DAY = timedelta(days=1)
_ROW = ["request_id", "row_number"]
_ORDER = [(name, "ascending") for name in ("at", *_ROW)]


def export(answered: AnsweredDays, lake: Lake, use_case: UseCase, *, now: datetime) -> dict[str, Any]:
    """Write the days that are over and not in the lake, and again those of which rows came late. Twice is once.

    Returns `{"days", "rows"}`: the days that were looked at, and the rows that the lake now has of them. `now`: the wall clock.
    """
    today = (now - CLOSED_AFTER).astimezone(UTC).date()
    known = {start.date() for start in lake.intervals(TABLE)}
    late = {day: at for day, at in answered.late(use_case.name).items() if day < today}
    due = sorted({*answered.days(use_case.name, today)} - known | late.keys())
    rows = 0
    for day in due:
        rows += _write_again(answered, lake, use_case, day) if day in known else _write(answered, lake, use_case, day)
        if day in late:
            answered.settle(use_case.name, day, late[day])
    return {"days": [day.isoformat() for day in due], "rows": rows}


def forget(lake: Lake, entities: Sequence[str]) -> int:
    """Delete the rows of `entities` from the lake; how many. Superseded versions hold them until they are vacuumed."""
    if lake.version(TABLE) is None:
        return 0
    sql = f"SELECT DISTINCT _interval AS start FROM {TABLE} WHERE list_contains($entities, entity)"
    found = lake.query(sql, {TABLE: None}, {"entities": list(entities)})["start"].to_pylist()
    return sum(_forget_within(lake, _interval(start.date()), entities) for start in found)


def expire(lake: Lake, before: datetime) -> int:
    """Delete the days that were over at `before`; how many held rows. They stay known, so that no export writes them again."""
    if (schema := lake.schema(TABLE)) is None:
        return 0
    sql = f"SELECT DISTINCT _interval AS start FROM {TABLE} WHERE _interval <= $last"
    found = lake.query(sql, {TABLE: None}, {"last": before - _DAY})["start"].to_pylist()
    for start in found:
        lake.replace(TABLE, schema.empty_table(), _interval(start.date()))
    return len(found)


def _write(answered: AnsweredDays, lake: Lake, use_case: UseCase, day: date) -> int:
    rows = answered.rows(use_case.name, day)
    if rows.num_rows:
        lake.replace(TABLE, rows, _interval(day))
    return rows.num_rows


def _write_again(answered: AnsweredDays, lake: Lake, use_case: UseCase, day: date) -> int:
    """What the database still holds of the day, and what only the lake does, since retention took it from the database."""
    held, stored = answered.rows(use_case.name, day).to_table(), lake.read(TABLE, interval=_interval(day))
    only_stored = lake.query_rows(
        "SELECT stored.* FROM stored ANTI JOIN held USING (request_id, row_number)",
        {"stored": stored, "held": held.select(_ROW)},
    )
    rows = pa.concat_tables([held, only_stored.select(held.column_names).cast(held.schema)]).sort_by(_ORDER)
    lake.replace(TABLE, rows, _interval(day))
    return int(rows.num_rows)


def _forget_within(lake: Lake, interval: Interval, entities: Sequence[str]) -> int:
    rows = lake.read(TABLE, interval=interval)
    sql = "SELECT * FROM held WHERE NOT list_contains($entities, entity)"
    kept = lake.query_rows(sql, {"held": rows}, {"entities": list(entities)})
    lake.replace(TABLE, kept.select(rows.column_names).cast(rows.schema), interval)
    return int(rows.num_rows) - int(kept.num_rows)


def _interval(day: date) -> Interval:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Interval(start, start + _DAY)
