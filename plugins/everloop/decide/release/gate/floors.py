"""What every candidate must show by itself, a first release too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

from everloop.decide.policy import GatePolicy
from everloop.decide.release.gate.evidence import Candidate
from everloop.decide.release.gate.margins import AUC_NEEDS, MEAN_NEEDS, kept, measured_on, rows_reason, with_sufficiency
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.statistics.sufficiency import sufficiency
from everloop.decide.verdict import Outcome, Reason


def floors(candidate: Candidate, policy: GatePolicy, per_week: float | None = None) -> list[Reason]:
    """Rows enough, an AUC above its floor, a calibration error below its ceiling, a file within its budget.

    `per_week`: how many labelled rows come a week, where that is known.
    """
    return [
        rows_reason("gate.rows", candidate.rows, candidate.blocks, policy, per_week),
        _auc_floor(candidate, policy, per_week),
        _calibration(candidate, policy, per_week),
        _size(candidate, policy),
    ]


def _auc_floor(candidate: Candidate, policy: GatePolicy, per_week: float | None) -> Reason:
    check, floor, found = "gate.auc_floor", policy.auc_floor, candidate.auc
    held_out = measured_on(candidate.rows, candidate.blocks, policy)
    if found is None:
        return Reason(check, Outcome.INCONCLUSIVE, f"no AUC on {held_out}: {AUC_NEEDS}", {"floor": floor})
    shortfall = replace(found, value=-found.value, low=-found.high, high=-found.low)
    reason = Reason(check, Outcome.PASS, f"AUC {found} on {held_out}, floor {floor:g}", {**asdict(found), "floor": floor})
    return _kept(reason, shortfall, -floor, policy, per_week, lambda margin: f"a floor of {-margin:.3f}")


def _calibration(candidate: Candidate, policy: GatePolicy, per_week: float | None) -> Reason:
    check, ceiling, found = "gate.calibration", policy.ece_ceiling, candidate.ece
    held_out = measured_on(candidate.rows, candidate.blocks, policy)
    if found is None:
        text = f"no calibration error on {held_out}: {MEAN_NEEDS}"
        return Reason(check, Outcome.INCONCLUSIVE, text, {"ceiling": ceiling})
    text = f"calibration error {found} on {held_out}, ceiling {ceiling:g}"
    reason = Reason(check, Outcome.PASS, text, {**asdict(found), "ceiling": ceiling})
    return _kept(reason, found, ceiling, policy, per_week, lambda margin: f"a ceiling of {margin:.3f}")


def _kept(
    reason: Reason, loss: Estimate, limit: float, policy: GatePolicy, per_week: float | None, form: Callable[[float], str]
) -> Reason:
    """The reason as a loss within its limit decides it, with what would be shown where it cannot.

    By expected loss a limit is kept with the probability that the policy names (one-sided, of a flat prior); that it is broken
    is shown at the policy's confidence in any case.
    """
    upper = loss.at(policy.kept_confidence, made_at=policy.confidence).high
    found = sufficiency(loss.rows, upper - loss.value, limit, policy.kept_confidence, value=loss.value, per_week=per_week)
    return with_sufficiency(replace(reason, outcome=kept(loss, limit, policy)), found, form)


def _size(candidate: Candidate, policy: GatePolicy) -> Reason:
    outcome = Outcome.PASS if candidate.size_mb <= policy.size_mb else Outcome.FAIL
    text = f"model file {candidate.size_mb:.2f} MB, budget {policy.size_mb:g} MB"
    return Reason("gate.size", outcome, text, {"value": candidate.size_mb, "budget": policy.size_mb})
