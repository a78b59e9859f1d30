"""When an interval keeps a margin."""

from __future__ import annotations

from everloop.decide.policy import GatePolicy
from everloop.decide.statistics.compare import Estimate
from everloop.decide.statistics.intervals import Range, wilson
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


def rows_reason(check: str, rows: int, policy: GatePolicy) -> Reason:
    """Whether there are rows enough to judge on."""
    outcome = Outcome.PASS if rows >= policy.minimum_rows else Outcome.INCONCLUSIVE
    text = f"{rows} rows to judge on, at least {policy.minimum_rows} wanted"
    return Reason(check, outcome, text, {"rows": rows, "minimum": policy.minimum_rows})
