"""Whether a served model still does as well as when it was released: its labelled rows against its release-time metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide.policy import CostMatrix, RetrainPolicy
from everloop.decide.statistics.compare import auc, costs, mean_difference
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.statistics.intervals import wilson
from everloop.decide.verdict import Outcome, Reason, Verdict, combine

Labels = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]


def measure(labels: Labels, scores: Scores, decisions: Labels, cost: CostMatrix) -> dict[str, Estimate]:
    """`auc` (DeLong's interval), `cost` per row (normal interval), `precision`, `recall`, `f1`, each where it is defined."""
    spent = costs(labels, decisions, cost)
    found = {"auc": auc(labels, scores), "cost": mean_difference(spent, np.zeros(len(spent)))}
    found |= _ratios(int((labels & decisions).sum()), int(decisions.sum()), int(labels.sum()))
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def _ratios(hits: int, alarms: int, positives: int) -> dict[str, Estimate | None]:
    """Precision, recall and F1 with Wilson's intervals.

    F1 is `2 J / (1 + J)` of the Jaccard index J, the share of hits among the rows that are an alarm, a positive or both: a rate
    of independent rows like the other two, and F1 rises with it, so its interval is that of J carried over.
    """
    either = alarms + positives - hits
    jaccard = _rate(hits, either)
    if jaccard is not None:
        value, low, high = (2 * each / (1 + each) for each in (jaccard.value, jaccard.low, jaccard.high))
        jaccard = Estimate(value=value, low=low, high=high, rows=either)
    return {"precision": _rate(hits, alarms), "recall": _rate(hits, positives), "f1": jaccard}


def _rate(part: int, whole: int) -> Estimate | None:
    if not whole:
        return None
    interval = wilson(part, whole)
    return Estimate(value=part / whole, low=interval.low, high=interval.high, rows=whole)


def judge(found: Mapping[str, Estimate], released: Mapping[str, Any], policy: RetrainPolicy, minimum_rows: int) -> Verdict:
    """The verdict against `released`, the release's held-out metrics: AUC may drop by `auc_drop`, cost rise by `cost_rise`.

    A window violates when its estimate lies beyond the limit and its interval excludes the released value: a small window
    that is merely unlucky is inconclusive. So is one with fewer than `minimum_rows` labels.
    """
    auc_then, cost_then = released.get("auc"), released.get("cost")
    auc_bounds = None if auc_then is None else (auc_then, auc_then - policy.auc_drop)
    cost_bounds = None if cost_then is None else (cost_then, cost_then * (1 + policy.cost_rise))
    reasons = (
        _against("AUC", found.get("auc"), auc_bounds, minimum_rows),
        _against("cost", found.get("cost"), cost_bounds, minimum_rows, higher_is_worse=True),
    )
    return combine(reasons)


def _against(
    what: str, found: Estimate | None, bounds: tuple[float, float] | None, minimum: int, *, higher_is_worse: bool = False
) -> Reason:
    """One measure against `bounds`: its value at release, and the limit that is made from it."""
    check, rows = f"performance.{what.lower()}", found.rows if found else 0
    if found is None or rows < minimum:
        return Reason(check, Outcome.INCONCLUSIVE, f"{rows} labels are too few to judge {what}: {minimum} wanted", {"rows": rows})
    if bounds is None:
        return Reason(check, Outcome.INCONCLUSIVE, f"the release carries no {what} to compare with")
    released, limit = bounds
    beyond = found.value > limit if higher_is_worse else found.value < limit
    shown = found.low > released if higher_is_worse else found.high < released
    text = f"{what} {found} on {rows} rows, {released:.4f} at release, limit {limit:.4f}"
    numbers = {"value": found.value, "low": found.low, "high": found.high, "rows": rows, "released": released, "limit": limit}
    return Reason(check, (Outcome.FAIL if shown else Outcome.INCONCLUSIVE) if beyond else Outcome.PASS, text, numbers)
