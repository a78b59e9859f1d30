"""What a stored feature row counts for at a moment: by the very rule of history, whichever store holds it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from everloop.flags import FRESH
from everloop.release import FeaturePlan, ViewPlan

Stored = tuple[datetime, datetime, tuple[Any, ...]]
"""A row as a store holds it: event time, created time, the view's features in their order."""

Found = tuple[dict[str, str], dict[str, Any]]
"""What a read found for one row: a status by view and a value by `<view>__<feature>`."""

STALE, EARLY, ABSENT = "stale", "early", "absent"


class Judge:
    """One view's rule: a row counts when `as_of - ttl <= event_timestamp <= as_of` and `created <= as_of`, bounds included.

    Only a fresh row gives values: in history, too, it is the only one that the join finds.
    """

    def __init__(self, view: ViewPlan) -> None:
        self.columns = tuple(f"{view.name}__{feature}" for feature in view.features)
        self.nothing: tuple[Any, ...] = (None,) * len(self.columns)
        self._ttl = None if view.ttl_seconds is None else timedelta(seconds=view.ttl_seconds)

    def status(self, stored: Stored | None, as_of: datetime) -> str:
        """`fresh`; `stale`, older than its time to live; `early`, not known yet at `as_of`; `absent`."""
        if stored is None:
            return ABSENT
        event, created, _ = stored
        if event > as_of or created > as_of:
            return EARLY
        return STALE if self._ttl is not None and event < as_of - self._ttl else FRESH


class Judges:
    """The rules of all views of a plan."""

    def __init__(self, plan: FeaturePlan) -> None:
        judges = [(view.name, Judge(view)) for view in plan.views]
        self._views = [(name, judge.status, judge.nothing) for name, judge in judges]
        self._columns = tuple(column for _, judge in judges for column in judge.columns)

    def judged(self, stored: Sequence[Sequence[Stored | None]], as_of: Sequence[datetime]) -> list[Found]:
        """For each row what its stored rows, one for each view, say at its moment."""
        answers = []
        for row, moment in zip(stored, as_of, strict=True):
            statuses: dict[str, str] = {}
            values: list[Any] = []
            for (name, status_of, nothing), one in zip(self._views, row, strict=True):
                status = statuses[name] = status_of(one, moment)
                values += one[2] if one is not None and status == FRESH else nothing
            answers.append((statuses, dict(zip(self._columns, values, strict=True))))
        return answers
