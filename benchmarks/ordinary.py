"""How often drift is told of ordinary windows: those that a release has learnt from, each judged as if it had not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from benchmarks.effect_sizes import as_it_was, before
from everloop.decide.policy import DriftPolicy
from everloop.decide.verdict import Outcome
from everloop.decide.watch import drift
from everloop.decide.watch.measures import Counted
from everloop.decide.watch.ordinary import Period
from everloop.decide.watch.shift import Shift, compare
from everloop.interval import Interval

Reference = Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """One window that was left out: what is said of it now, what was said before, and which columns moved."""

    window: Interval
    columns: int
    moved: tuple[str, ...]
    score_moved: bool
    alarm: bool
    alarm_before: bool
    alarm_before_without_list: bool
    moved_before: tuple[str, ...]


def windows(reference: Reference, length: timedelta, step: timedelta) -> Iterator[Interval]:
    """Every window of `length` that lies wholly in the period that was learnt from, a `step` from one to the next."""
    columns = reference["columns"]
    period = Period.of(next(iter(columns.values()))["periods"][0])
    start, end = period.start, period.start + len(period.cells) * period.width
    while start + length <= end:
        yield Interval(start, start + length)
        start += step


def judged(reference: Reference, window: Interval, policy: DriftPolicy) -> Judged:
    """What is said of a window of the period that was learnt from, as if it had not been."""
    shifts = {name: _shift(column, window, policy) for name, column in reference["columns"].items()}
    score = _shift(reference["score"], window, policy)
    level = drift.column_level(shifts, policy)
    old, unlisted = (as_it_was(shifts, score, listed=listed) for listed in (True, False))
    return Judged(
        window=window,
        columns=len(shifts),
        moved=tuple(name for name, shift in shifts.items() if shift.moved(policy, level)),
        score_moved=bool(score.moved(policy, drift.score_level(policy))),
        alarm=drift.judge(shifts, score, policy).outcome is Outcome.FAIL,
        alarm_before=old.outcome is Outcome.FAIL,
        alarm_before_without_list=unlisted.outcome is Outcome.FAIL,
        moved_before=tuple(name for name, shift in shifts.items() if shift.beyond(before(listed=False))),
    )


def _shift(column: Reference, window: Interval, policy: DriftPolicy) -> Shift:
    rest, counts = without(column, window)
    found = compare(rest, counts, window, policy.minimum_rows)
    if found is None:
        raise ValueError(f"{window} holds no row, or all of them: choose windows within what was learnt from")
    return found


def without(column: Reference, window: Interval) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a reference would say of a column if the rows of `window` had not been there, and their counts.

    What came before moves up to what came after, so that windows of that length stay whole. Scores: the counts are those of the
    last period, as a release keeps them.
    """
    cut = [(Period.of(told), *_cut(Period.of(told), window)) for told in column["periods"]]
    given = _counts(Counted.of(column).without(_sum([gone for period, _, gone in cut if period.counted])))
    rest = {name: value for name, value in given.items() if name in column}
    return {**column, **rest, "periods": [told for _, told, _ in cut]}, _counts(_sum([gone for _, _, gone in cut]))


def _sum(parts: Sequence[Counted]) -> Counted:
    return Counted(np.sum([one.cells for one in parts], axis=0), sum(one.outside for one in parts))


def _counts(counted: Counted) -> dict[str, Any]:
    """As a window's counts are kept."""
    *counts, unknown, missing = counted.cells.tolist()
    return {"counts": counts, "other": unknown, "missing": missing, "outside": counted.outside}


def _cut(period: Period, window: Interval) -> tuple[dict[str, Any], Counted]:
    """The period without the blocks of `window`, and the sums of these."""
    moments = [period.start + place * period.width for place in range(len(period.cells))]
    gone = np.array([window.holds(moment) for moment in moments])
    start: datetime = period.start + int(gone.sum()) * period.width
    rest = {
        "start": start.isoformat(),
        "seconds": period.width.total_seconds(),
        "cells": period.cells[~gone].tolist(),
        "outside": period.outside[~gone].tolist(),
        "counted": period.counted,
    }
    return rest, Counted(period.cells[gone].sum(0), float(period.outside[gone].sum()))
