"""When an interval keeps a margin, and what it was measured on."""

from __future__ import annotations

from datetime import timedelta

from everloop.decide.policy import GatePolicy
from everloop.decide.statistics.clusters import Clusters, clustered_rate
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.statistics.intervals import Range
from everloop.decide.verdict import Outcome, Reason

MEAN_NEEDS = "rows of two blocks of time are the least"
AUC_NEEDS = "two positives and two negatives, of two blocks of time, are the least"


def within(loss: Estimate | Range, margin: float) -> Outcome:
    """Pass when the whole interval of a loss lies within the margin, fail when all of it lies beyond, else inconclusive."""
    if loss.high <= margin:
        return Outcome.PASS
    return Outcome.FAIL if loss.low > margin else Outcome.INCONCLUSIVE


def share_within(found: Clusters, limit: float, confidence: float) -> Outcome:
    """Whether a share of rows, counted by block of time, keeps its limit: `within`, by the interval of a clustered rate."""
    return within(clustered_rate(found, confidence), limit) if found.trials else Outcome.INCONCLUSIVE


def rows_reason(check: str, rows: int, blocks: int, policy: GatePolicy) -> Reason:
    """Whether there are rows enough to judge on."""
    outcome = Outcome.PASS if rows >= policy.minimum_rows else Outcome.INCONCLUSIVE
    text = f"{measured_on(rows, blocks, policy)} to judge on, at least {policy.minimum_rows:,} wanted"
    return Reason(check, outcome, text, {"rows": rows, "blocks": blocks, "minimum": policy.minimum_rows})


_NAMES = {timedelta(hours=1): "hour", timedelta(days=1): "day", timedelta(weeks=1): "week"}


def measured_on(rows: int, blocks: int, policy: GatePolicy) -> str:
    """As `9,211 rows of 21 days`: what an interval rests on."""
    name = _NAMES.get(policy.block)
    many = "" if blocks == 1 else "s"
    return f"{rows:,} rows of {blocks:,} " + (f"{name}{many}" if name else f"block{many} of {policy.block}")
