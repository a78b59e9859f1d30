"""When a window's number has reached its limit: shown, not only measured."""

from __future__ import annotations

from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome


def reached(moved: Estimate, limit: float) -> Outcome:
    """The verdict on how far a number has moved for the worse from where it was (0).

    Fail when it has moved by the limit, and it is shown that it has moved at all; pass when all of the interval lies below the
    limit. In between nothing is shown: neither that it moved, nor that it did not move by so much.
    """
    if moved.value >= limit and moved.low > 0:
        return Outcome.FAIL
    return Outcome.PASS if moved.high <= limit else Outcome.INCONCLUSIVE


def either_way(moved: Estimate, limit: float) -> Outcome:
    """`reached`, upwards or downwards."""
    both = {reached(moved, limit), reached(-moved, limit)}
    return next(outcome for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS) if outcome in both)
