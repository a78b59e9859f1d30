"""A made column with one value a week for each of five precincts: how often it is told to have moved while nothing has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from everloop.decide.policy import DriftPolicy
from everloop.decide.watch.shift import compare
from everloop.decide.watch.sketch import count
from everloop.interval import Interval
from everloop.learn.history import History
from everloop.learn.reference import describe

PRECINCTS, A_DAY = 5, 25
LEARNT, SERVED = 13, 13
"""Weeks: a quarter that is learnt from, and the one after it."""
ALIKE = 0.5
"""Correlation of a precinct's value with that of the week before."""
START, WEEK = datetime(2024, 1, 1, tzinfo=UTC), timedelta(weeks=1)
LEVEL = 0.025 * 3 / 10
"""That of one column of ten, of which three must move."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Told:
    """Of so many weeks, in how many the column was red by its effect size alone, and is by what ordinary weeks show."""

    weeks: int
    before: int
    now: int
    least_psi: float


def ordinary(worlds: int, seed: int, rise: float = 0.0) -> Told:
    """Quarters that go on as they were, or in which each precinct's value has risen by `rise` standard deviations."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(worlds):
        values = _values(rng)
        values[LEARNT:] += rise
        reference = _reference(values[:LEARNT])
        found += [_week(reference, values[week], week) for week in range(LEARNT, LEARNT + SERVED)]
    before, now, psi = zip(*found, strict=True)
    return Told(len(found), sum(before), sum(now), min(psi))


def _values(rng: np.random.Generator) -> Floats:
    """Each precinct's value by week (weeks, precincts), of variance 1."""
    found = rng.normal(size=(LEARNT + SERVED, PRECINCTS))
    for week in range(1, len(found)):
        found[week] = ALIKE * found[week - 1] + np.sqrt(1 - ALIKE**2) * found[week]
    return found


def _rows(values: Floats) -> Floats:
    """A week's rows, in no order: every precinct is asked for as often."""
    return np.tile(values, 7 * A_DAY // PRECINCTS)


def _reference(weeks: Floats) -> dict[str, Any]:
    rows = np.concatenate([_rows(week) for week in weeks])
    asked = np.datetime64(START.replace(tzinfo=None), "us") + np.arange(len(rows)) * (np.timedelta64(1, "D") // A_DAY)
    labels, scores = np.zeros(len(rows), dtype=bool), np.zeros(len(rows))
    past = History(width=timedelta(days=1), asked=asked, scored=((asked, scores), (asked, scores)))
    told = describe(pa.table({"value": rows}), ["value"], {}, labels, labels, scores, {}, past)
    found: dict[str, Any] = told["columns"]["value"]
    return found


def _week(reference: dict[str, Any], values: Floats, week: int) -> tuple[bool, bool, float]:
    window, policy = Interval(START + week * WEEK, START + (week + 1) * WEEK), DriftPolicy()
    shift = compare(reference, count(reference, _rows(values).tolist()), window, 1)
    if shift is None:
        raise ValueError("a week without rows: give the precincts some")
    before = shift.beyond(DriftPolicy(outside_rate=None))
    return bool(before), bool(shift.moved(policy, LEVEL)), shift.psi
