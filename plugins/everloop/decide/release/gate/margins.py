"""When an interval keeps a margin, and what it was measured on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from everloop.decide.policy import GatePolicy
from everloop.decide.statistics.clusters import Clusters, clustered_rate
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.statistics.intervals import Range
from everloop.decide.statistics.sufficiency import Sufficiency, in_weeks
from everloop.decide.verdict import Outcome, Reason

MEAN_NEEDS = "rows of two blocks of time are the least"
AUC_NEEDS = "two positives and two negatives, of two blocks of time, are the least"


def within(loss: Estimate | Range, margin: float) -> Outcome:
    """Pass when the whole interval of a loss lies within the margin, fail when all of it lies beyond, else inconclusive."""
    if loss.high <= margin:
        return Outcome.PASS
    return Outcome.FAIL if loss.low > margin else Outcome.INCONCLUSIVE


def kept(loss: Estimate, margin: float, policy: GatePolicy) -> Outcome:
    """Whether a loss keeps a margin, where that may be shown at `GatePolicy.kept_confidence`."""
    upper = loss.at(policy.kept_confidence, made_at=policy.confidence).high
    return within(Range(loss.low, upper), margin)


def share_within(found: Clusters, limit: float, policy: GatePolicy) -> Outcome:
    """Whether a share of rows, counted by block of time, keeps its limit, as `kept`, by the interval of a clustered rate."""
    if not found.trials:
        return Outcome.INCONCLUSIVE
    low, high = (clustered_rate(found, level)[end] for end, level in enumerate((policy.confidence, policy.kept_confidence)))
    return within(Range(low, high), limit)


def rows_reason(check: str, rows: int, blocks: int, policy: GatePolicy, per_week: float | None = None) -> Reason:
    """Whether there are rows enough to judge on."""
    least = policy.least_rows
    outcome = Outcome.PASS if rows >= least else Outcome.INCONCLUSIVE
    weeks = least / per_week if per_week and outcome is Outcome.INCONCLUSIVE else None
    text = f"{measured_on(rows, blocks, policy)} to judge on, at least {least:,} wanted{in_weeks(weeks)}"
    return Reason(check, outcome, text, {"rows": rows, "blocks": blocks, "minimum": least})


def with_sufficiency(reason: Reason, found: Sufficiency, form: Callable[[float], str]) -> Reason:
    """The reason, where it lacks evidence, with what its rows could show and how many it takes; `form` words a margin."""
    if reason.outcome is not Outcome.INCONCLUSIVE:
        return reason
    if not math.isfinite(found.shows):
        able = f"they show nothing: {MEAN_NEEDS}"
    elif found.enough:
        able = f"{found.rows:,} rows can show {form(found.shows)}: this candidate lies too near {form(found.margin)}"
    else:
        able = f"{found.rows:,} rows can show {form(found.shows)}, {form(found.margin)} takes {found.takes}"
    return replace(reason, text=f"{reason.text}; {able}", numbers=reason.numbers | found.numbers())


_NAMES = {timedelta(hours=1): "hour", timedelta(days=1): "day", timedelta(weeks=1): "week"}


def measured_on(rows: int, blocks: int, policy: GatePolicy) -> str:
    """As `9,211 rows of 21 days`: what an interval rests on."""
    name = _NAMES.get(policy.block)
    many = "" if blocks == 1 else "s"
    return f"{rows:,} rows of {blocks:,} " + (f"{name}{many}" if name else f"block{many} of {policy.block}")
