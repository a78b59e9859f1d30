"""Pushes: raw rows of a view's source table become feature rows by the SQL that makes their history."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from everloop.release import FeaturePlan, PushPlan, ViewPlan
from everloop.serve.features.store import OnlineStore
from everloop.serve.problems import Problem, Refused, refuse
from everloop.serve.reading import values

_ALWAYS = {"start": datetime(1900, 1, 1, tzinfo=UTC), "end": datetime(2900, 1, 1, tzinfo=UTC)}
"""A pushed row counts whatever its interval."""


class Pusher:
    """Turns pushed rows into feature rows, one push at a time: DuckDB's own threads are what it parallelises by."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._duckdb: Any = None

    def feature_rows(self, plan: PushPlan, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows of `plan.source`, typed, through `plan.sql`: one dict per feature row, times included."""
        import pyarrow as pa

        from everloop.kinds import ARROW_TYPES

        table = pa.table(
            {name: pa.array([row.get(name) for row in rows], type=ARROW_TYPES[kind]) for name, kind in plan.columns.items()}
        )
        with self._lock:
            connection = self._connect()
            connection.register(plan.source, table)
            try:
                used = {name: moment for name, moment in _ALWAYS.items() if f"${name}" in plan.sql}
                found: list[dict[str, Any]] = connection.sql(plan.sql, params=used).to_arrow_table().to_pylist()
            finally:
                connection.unregister(plan.source)
        return found

    def _connect(self) -> Any:
        if self._duckdb is None:
            import duckdb

            self._duckdb = duckdb.connect(config={"threads": 1})
            self._duckdb.execute("SET TimeZone = 'UTC'")
        return self._duckdb


def typed(plan: PushPlan, raw: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with their contract's types; `Refused` (422) with every value that does not fit."""
    problems: list[Problem] = []
    rows = []
    for position, given in enumerate(raw):
        row = dict.fromkeys(plan.columns)
        for name, value in given.items():
            path = f"rows[{position}].{name}"
            if name not in plan.columns:
                problems.append(Problem(path, value, "is not a column of the source", f"send only {', '.join(plan.columns)}"))
            elif value is not None:
                row[name] = values.typed(value, plan.columns[name], path, problems)
        rows.append(row)
    if problems:
        raise Refused(422, problems)
    return rows


def find(plan: FeaturePlan, view: str) -> tuple[PushPlan, ViewPlan]:
    """How to push to `view`; `Refused` (404) names the views that can be pushed to."""
    for push in plan.pushes:
        if push.view == view:
            return push, next(known for known in plan.views if known.name == view)
    known = ", ".join(push.view for push in plan.pushes) or "none"
    raise refuse(404, "view", view, f"is not a view that takes pushes; those are: {known}", "push to one of them")


async def push(plan: FeaturePlan, view: str, raw: Sequence[Mapping[str, Any]], pusher: Pusher, store: OnlineStore) -> int:
    """Push raw rows to `view`; how many rows of the online store changed (an older event changes none)."""
    import asyncio

    how, target = find(plan, view)
    rows = await asyncio.to_thread(pusher.feature_rows, how, typed(how, raw))
    # SQL that dates its rows by `$end` has no true end here: such a row was known when its event came.
    known = [row if row["created"] < _ALWAYS["end"] else {**row, "created": row["event_timestamp"]} for row in rows]
    return await store.write(target, known)
