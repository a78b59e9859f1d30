"""What a task needs to know of the run that it belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import get_current_context

from everloop.interval import Interval

Json = dict[str, Any]
Intervals = list[dict[str, str]]

_OWN_INTERVAL = ("scheduled", "backfill")


def run_name() -> str:
    """The run's id, fit for a path; a retried or cleared task gets the same."""
    return safe_name(get_current_context()["dag_run"].run_id)


def safe_name(run_id: str) -> str:
    """`run_id` with every character that a path or an object store might mind replaced by `_`."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", run_id)


def actor() -> str:
    """Who is to be named in the ledger: the person who triggered the run, else its DAG."""
    run = get_current_context()["dag_run"]
    return getattr(run, "triggering_user_name", None) or f"dag:{run.dag_id}"


def own_interval() -> Interval | None:
    """The run's data interval when cron or a backfill made the run; `None` when an event or a person did."""
    run = get_current_context()["dag_run"]
    if run.run_type not in _OWN_INTERVAL or run.data_interval_start is None or run.data_interval_end is None:
        return None
    return Interval(run.data_interval_start, run.data_interval_end)


def asked_interval(parameters: Mapping[str, Any]) -> Interval | None:
    """The interval that a person asked for by the parameters `start` and `end`, both or neither."""
    start, end = parameters.get("start"), parameters.get("end")
    if not (start and end):
        return None
    return Interval(_utc(start), _utc(end))


def events() -> list[Json]:
    """What the asset events that triggered this run carry, oldest first; empty for other runs."""
    return [dict(event.extra) for group in get_current_context()["triggering_asset_events"].values() for event in group]


def from_backfill() -> bool:
    """Whether this run is a backfill or only answers events of backfills.

    A live event among them makes the run a live one: its own cursor decides what it works on.
    """
    return get_current_context()["dag_run"].run_type == "backfill" or only_backfills(events())


def only_backfills(extras: Iterable[Mapping[str, Any]]) -> bool:
    """Whether there are events and all come from backfills. Watchers wrap what they send in `payload`, and are live."""
    marks = [bool(extra.get("backfill")) for extra in extras]
    return bool(marks) and all(marks)


def now() -> datetime:
    """Wall clock, UTC: read here, at the edge, and handed on as a value."""
    return datetime.now(UTC)


def to_json(intervals: Iterable[Interval]) -> Intervals:
    """Intervals as they travel through XCom and asset events."""
    return [interval.to_json() for interval in intervals]


def from_json(values: Intervals) -> list[Interval]:
    """The inverse of `to_json`."""
    return [Interval.from_json(value) for value in values]


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
