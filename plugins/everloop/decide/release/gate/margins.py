"""When an interval keeps a margin."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from everloop.decide.policy import GatePolicy
from everloop.decide.statistics.compare import Estimate
from everloop.decide.statistics.intervals import Range, wilson
from everloop.decide.statistics.sufficiency import Sufficiency, in_weeks
from everloop.decide.verdict import Outcome, Reason


def within(loss: Estimate | Range, margin: float) -> Outcome:
    """Pass when the whole interval of a loss lies within the margin, fail when all of it lies beyond, else inconclusive."""
    if loss.high <= margin:
        return Outcome.PASS
    return Outcome.FAIL if loss.low > margin else Outcome.INCONCLUSIVE


def share_within(hits: int, rows: int, limit: float, confidence: float) -> Outcome:
    """Pass when a share of rows keeps its limit, fail when it is shown not to (Wilson's interval), else inconclusive."""
    if not rows:
        return Outcome.INCONCLUSIVE
    if hits / rows <= limit:
        return Outcome.PASS
    return Outcome.FAIL if wilson(hits, rows, confidence).low > limit else Outcome.INCONCLUSIVE


def rows_reason(check: str, rows: int, policy: GatePolicy, per_week: float | None = None) -> Reason:
    """Whether there are rows enough to judge on."""
    least = policy.least_rows
    outcome = Outcome.PASS if rows >= least else Outcome.INCONCLUSIVE
    weeks = least / per_week if per_week and outcome is Outcome.INCONCLUSIVE else None
    text = f"{rows} rows to judge on, at least {least} wanted{in_weeks(weeks)}"
    return Reason(check, outcome, text, {"rows": rows, "minimum": least})


def with_sufficiency(reason: Reason, found: Sufficiency, form: Callable[[float], str]) -> Reason:
    """The reason, where it lacks evidence, with what its rows could show and how many it takes; `form` words a margin."""
    if reason.outcome is not Outcome.INCONCLUSIVE:
        return reason
    if not math.isfinite(found.shows):
        able = "rows of one block of time show nothing, have at least two"
    elif found.enough:
        able = f"{found.rows:,} rows can show {form(found.shows)}: this candidate lies too near {form(found.margin)}"
    else:
        able = f"{found.rows:,} rows can show {form(found.shows)}, {form(found.margin)} takes {found.takes}"
    return replace(reason, text=f"{reason.text}; {able}", numbers=reason.numbers | found.numbers())
