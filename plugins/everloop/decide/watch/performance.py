"""Whether a served model still does as well as when it was released: its labelled rows against its release-time metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide.policy import CostMatrix, RetrainPolicy
from everloop.decide.statistics.clusters import NOTHING_KNOWN, Clusters, Codes, Likeness, clustered_rate
from everloop.decide.statistics.compare import auc, costs, mean_difference, placements
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason, Verdict, combine
from everloop.decide.watch.limits import reached

Labels = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]


def measure(
    labels: Labels, scores: Scores, decisions: Labels, cost: CostMatrix, units: Codes, known: Mapping[str, Likeness] | None = None
) -> dict[str, Estimate]:
    """`auc`, `cost` per row, `precision`, `recall`, `f1` of labelled rows (n,), each where it is defined, with its interval.

    `units` (n,): the block of time that each row lies in. `known`: by measure, how alike rows of one block were when the release
    was made (`alike`), without which a window of one block has intervals without end.
    """
    told, spent = known or {}, costs(labels, decisions, cost)
    found = {
        "auc": auc(labels, scores, units=units, known=told.get("auc", NOTHING_KNOWN)),
        "cost": mean_difference(spent, np.zeros(len(spent)), units=units, known=told.get("cost", NOTHING_KNOWN)),
    }
    for name, counts in _counts(labels, decisions, units).items():
        found[name] = _rate(name, counts, told.get(name, NOTHING_KNOWN))
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def alike(labels: Labels, scores: Scores, decisions: Labels, cost: CostMatrix, units: Codes) -> dict[str, Likeness]:
    """By measure, how alike rows of one unit are in what they add to its error."""
    found = {name: Likeness.of_rate(counts) for name, counts in _counts(labels, decisions, units).items()}
    spent, ranks = costs(labels, decisions, cost), placements(labels, scores)
    if len(spent):
        found["cost"] = Likeness.of((spent - spent.mean()) / len(spent), units)
    return found | ({"auc": Likeness.of(ranks.influence(labels), units)} if ranks else {})


def _counts(labels: Labels, decisions: Labels, units: Codes) -> dict[str, Clusters]:
    """The rates behind precision, recall and F1, by unit.

    F1 is `2 J / (1 + J)` of the Jaccard index J, the share of hits among the rows that are an alarm, a positive or both: a rate
    like the other two.
    """
    rows = {"precision": decisions, "recall": labels, "f1": decisions | labels}
    return {name: Clusters.counted(units[chosen], (decisions & labels)[chosen]) for name, chosen in rows.items()}


def _rate(name: str, found: Clusters, known: Likeness) -> Estimate | None:
    if not found.trials:
        return None
    ends = (found.rate, *clustered_rate(found, 0.95, known))
    # F1 rises with J, so its interval is that of J carried over.
    value, low, high = (2 * end / (1 + end) for end in ends) if name == "f1" else ends
    freedom = found.units - 1 + known.freedom
    return Estimate(value=value, low=low, high=high, rows=int(found.trials), units=found.units, freedom=freedom)


def judge(found: Mapping[str, Estimate], released: Mapping[str, Any], policy: RetrainPolicy, minimum_rows: int) -> Verdict:
    """The verdict against `released`, the release's held-out metrics: AUC may drop by `auc_drop`, cost rise by `cost_rise`.

    A window violates when it reaches the limit and its interval excludes the released value, and passes when all of its interval
    keeps the limit (`reached`): a small window that is merely unlucky is inconclusive. So is one with fewer than `minimum_rows`
    labels.
    """
    cost = released.get("cost")
    return combine(
        (
            _against("AUC", found.get("auc"), released.get("auc"), policy.auc_drop, minimum_rows, lower_is_worse=True),
            _against("cost", found.get("cost"), cost, policy.cost_rise * (cost or 0.0), minimum_rows),
        )
    )


def _against(
    what: str, found: Estimate | None, released: float | None, allowed: float, minimum: int, *, lower_is_worse: bool = False
) -> Reason:
    """One measure against its value at release, from which it may move by as much as is `allowed` for the worse."""
    check, rows = f"performance.{what.lower()}", found.rows if found else 0
    if found is None or rows < minimum:
        return Reason(check, Outcome.INCONCLUSIVE, f"{rows} labels are too few to judge {what}: {minimum} wanted", {"rows": rows})
    if released is None:
        return Reason(check, Outcome.INCONCLUSIVE, f"the release carries no {what} to compare with")
    moved = found.less(released)
    limit = released - allowed if lower_is_worse else released + allowed
    text = f"{what} {found} on {found.on}, {released:.4f} at release, limit {limit:.4f}"
    numbers = {**asdict(found), "released": released, "limit": limit}
    return Reason(check, reached(-moved if lower_is_worse else moved, allowed), text, numbers)
