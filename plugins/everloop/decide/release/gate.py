"""May a candidate meet traffic? Absolute floors, and no worse than the champion on the same held-out, later-in-time rows.

What makes the comparison fair: the candidate's held-out rows were asked for after every label that it learnt from was known
(`learn.split` purges the rest), and of them only those count that were also asked for after the champion's
`trained_through`. So neither model can have learnt from a judged row, nor from anything later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from everloop.decide.policy import CostMatrix, GatePolicy
from everloop.decide.statistics.compare import Estimate, auc, auc_difference, costs, mean_difference
from everloop.decide.verdict import Outcome, Reason, Verdict, combine

if TYPE_CHECKING:
    import numpy.typing as npt

    Labels = npt.NDArray[np.bool_]
    Slices = Mapping[str, npt.NDArray[np.str_]]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What stands of the candidate alone: `rows` held out, its AUC and calibration error on them, the model file's size."""

    trained_through: datetime
    rows: int
    auc: Estimate | None
    ece: float | None
    size_mb: float


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The release that serves."""

    release: str
    trained_through: datetime


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Cost per row, candidate minus champion, of one set of rows, and the champion's own cost there."""

    cost: Estimate | None
    champion_cost: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Candidate minus champion on the same rows: AUC, cost, and cost by slice (`{slice: {value: difference}}`)."""

    rows: int
    auc: Estimate | None
    overall: Difference
    slices: Mapping[str, Mapping[str, Difference]]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that the gate knows. `problem` says why there is no `comparison` although there is a champion."""

    candidate: Candidate
    champion: Champion | None = None
    comparison: Comparison | None = None
    problem: str = ""


@dataclass(frozen=True)
class Scored:
    """A release's scores of some rows, and its decision threshold."""

    scores: npt.NDArray[np.float64]
    threshold: float

    def costs(self, labels: Labels, cost: CostMatrix) -> npt.NDArray[np.float64]:
        """What its decisions cost, by row."""
        return costs(labels, self.scores >= self.threshold, cost)


def compare(
    labels: Labels, candidate: Scored, champion: Scored, slices: Slices, cost: CostMatrix, policy: GatePolicy
) -> Comparison:
    """The paired evidence of rows that neither release learnt from. Slices below `policy.slice_minimum` are left out."""
    ours, theirs = candidate.costs(labels, cost), champion.costs(labels, cost)

    def difference(rows: Labels) -> Difference:
        champion_cost = float(theirs[rows].mean()) if rows.any() else None
        return Difference(cost=mean_difference(ours[rows], theirs[rows], policy.confidence), champion_cost=champion_cost)

    return Comparison(
        rows=len(labels),
        auc=auc_difference(labels, candidate.scores, champion.scores, policy.confidence),
        overall=difference(np.ones(len(labels), dtype=bool)),
        slices={name: _by_value(values, difference, policy.slice_minimum) for name, values in slices.items()},
    )


def _by_value(values: npt.NDArray[np.str_], difference: Callable[[Labels], Difference], minimum: int) -> dict[str, Difference]:
    names, counts = np.unique(values, return_counts=True)
    return {str(name): difference(values == name) for name in names[counts >= minimum]}


def alone(
    labels: Labels, candidate: Scored, ece: float, size_mb: float, trained_through: datetime, policy: GatePolicy
) -> Candidate:
    """What the held-out rows say of the candidate alone."""
    found = auc(labels, candidate.scores, policy.confidence)
    return Candidate(trained_through=trained_through, rows=len(labels), auc=found, ece=ece, size_mb=size_mb)


def judge(evidence: Evidence, policy: GatePolicy, others: Iterable[Reason] = ()) -> Verdict:
    """The verdict on a candidate; `others` are reasons of further checks, such as fairness.

    A first release (no champion) is held to the floors alone. Against a champion, AUC and cost must be shown to be no worse
    than the margins allow (non-inferiority: the whole interval lies within); a slice fails when it is shown to be worse by
    more than its margin, since few slices are large enough to show the opposite.
    """
    reasons = [*_floors(evidence.candidate, policy), *others]
    if evidence.champion:
        reasons += [_fresh(evidence.candidate, evidence.champion), *_against(evidence, policy)]
    return combine(reasons)


def _floors(candidate: Candidate, policy: GatePolicy) -> list[Reason]:
    return [
        _rows("gate.rows", candidate.rows, policy),
        _auc_floor(candidate, policy),
        _calibration(candidate, policy),
        _size(candidate, policy),
    ]


def _rows(check: str, rows: int, policy: GatePolicy) -> Reason:
    outcome = Outcome.PASS if rows >= policy.minimum_rows else Outcome.INCONCLUSIVE
    text = f"{rows} rows to judge on, at least {policy.minimum_rows} wanted"
    return Reason(check, outcome, text, {"rows": rows, "minimum": policy.minimum_rows})


def _auc_floor(candidate: Candidate, policy: GatePolicy) -> Reason:
    check, floor, found = "gate.auc_floor", policy.auc_floor, candidate.auc
    if found is None:
        return Reason(check, Outcome.INCONCLUSIVE, "no AUC: the held-out rows lack positives or negatives", {"floor": floor})
    shortfall = Estimate(value=floor - found.value, low=floor - found.high, high=floor - found.low, rows=found.rows)
    text = f"AUC {found}, floor {floor:g}"
    return Reason(check, _within(shortfall, 0.0), text, {**asdict(found), "floor": floor})


def _calibration(candidate: Candidate, policy: GatePolicy) -> Reason:
    check, ceiling, found = "gate.calibration", policy.ece_ceiling, candidate.ece
    if found is None:
        return Reason(check, Outcome.INCONCLUSIVE, "no calibration error: there are no held-out rows", {"ceiling": ceiling})
    outcome = Outcome.PASS if found <= ceiling else Outcome.FAIL
    return Reason(check, outcome, f"calibration error {found:.4f}, ceiling {ceiling:g}", {"value": found, "ceiling": ceiling})


def _size(candidate: Candidate, policy: GatePolicy) -> Reason:
    outcome = Outcome.PASS if candidate.size_mb <= policy.size_mb else Outcome.FAIL
    text = f"model file {candidate.size_mb:.2f} MB, budget {policy.size_mb:g} MB"
    return Reason("gate.size", outcome, text, {"value": candidate.size_mb, "budget": policy.size_mb})


def _fresh(candidate: Candidate, champion: Champion) -> Reason:
    ours, theirs = candidate.trained_through, champion.trained_through
    newer = ours > theirs
    text = f"trained through {ours:%Y-%m-%d %H:%M}, champion {champion.release} through {theirs:%Y-%m-%d %H:%M}"
    numbers = {"candidate": ours.isoformat(), "champion": theirs.isoformat()}
    return Reason("gate.stale", Outcome.PASS if newer else Outcome.FAIL, text if newer else f"stale: {text}", numbers)


def _against(evidence: Evidence, policy: GatePolicy) -> list[Reason]:
    found = evidence.comparison
    if found is None:
        return [Reason("gate.comparison", Outcome.ERROR, evidence.problem or "candidate and champion were not compared")]
    return [
        _rows("gate.comparison", found.rows, policy),
        _auc(found.auc, policy),
        _cost(found.overall, policy),
        *(_slice(name, differences, policy) for name, differences in found.slices.items()),
    ]


def _auc(found: Estimate | None, policy: GatePolicy) -> Reason:
    check, margin = "gate.auc", policy.auc_margin
    if found is None:
        return Reason(check, Outcome.INCONCLUSIVE, "no AUC difference: the shared rows lack positives or negatives")
    loss = Estimate(value=-found.value, low=-found.high, high=-found.low, rows=found.rows)
    text = f"AUC minus champion's {found}, at least {-margin:g} wanted"
    return Reason(check, _within(loss, margin), text, {**asdict(found), "margin": margin})


def _cost(found: Difference, policy: GatePolicy) -> Reason:
    check, margin = "gate.cost", policy.cost_margin
    if found.cost is None or found.champion_cost is None:
        return Reason(check, Outcome.INCONCLUSIVE, "no cost difference: there are no shared rows")
    limit = margin * found.champion_cost
    text = f"cost per row minus champion's {found.cost}, at most {limit:.4f} wanted ({margin:.0%} of {found.champion_cost:.4f})"
    return Reason(check, _within(found.cost, limit), text, {**asdict(found.cost), "limit": limit, "margin": margin})


def _slice(name: str, differences: Mapping[str, Difference], policy: GatePolicy) -> Reason:
    check = f"gate.slice.{name}"
    judged = {value: found for value, found in differences.items() if found.cost is not None}
    if not judged:
        text = f"no {name} has {policy.slice_minimum} rows, so none can be judged"
        return Reason(check, Outcome.INCONCLUSIVE, text, {"minimum": policy.slice_minimum})
    worse = [f"{value} {found.cost}" for value, found in judged.items() if _slice_outcome(found, policy) is Outcome.FAIL]
    text = (
        f"{name}: cost per row worse than the champion's by more than {policy.slice_margin:.0%} for {', '.join(worse)}"
        if worse
        else f"{name}: none of {len(judged)} values shown worse than the champion by more than {policy.slice_margin:.0%}"
    )
    numbers = {value: asdict(found) for value, found in judged.items()}
    return Reason(check, Outcome.FAIL if worse else Outcome.PASS, text, numbers)


def _slice_outcome(found: Difference, policy: GatePolicy) -> Outcome:
    if found.cost is None or found.champion_cost is None:
        return Outcome.INCONCLUSIVE
    return _within(found.cost, policy.slice_margin * found.champion_cost)


def _within(loss: Estimate, margin: float) -> Outcome:
    """Pass when the whole interval of a loss lies within the margin, fail when all of it lies beyond, else inconclusive."""
    if loss.high <= margin:
        return Outcome.PASS
    return Outcome.FAIL if loss.low > margin else Outcome.INCONCLUSIVE
