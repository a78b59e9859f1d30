"""What every candidate must show by itself, a first release too."""

from __future__ import annotations

from dataclasses import asdict

from everloop.decide.policy import GatePolicy
from everloop.decide.release.gate.evidence import Candidate
from everloop.decide.release.gate.margins import AUC_NEEDS, MEAN_NEEDS, measured_on, rows_reason, within
from everloop.decide.statistics.intervals import Range
from everloop.decide.verdict import Outcome, Reason


def floors(candidate: Candidate, policy: GatePolicy) -> list[Reason]:
    """Rows enough, an AUC above its floor, a calibration error below its ceiling, a file within its budget."""
    return [
        rows_reason("gate.rows", candidate.rows, candidate.blocks, policy),
        _auc_floor(candidate, policy),
        _calibration(candidate, policy),
        _size(candidate, policy),
    ]


def _auc_floor(candidate: Candidate, policy: GatePolicy) -> Reason:
    check, floor, found = "gate.auc_floor", policy.auc_floor, candidate.auc
    held_out = measured_on(candidate.rows, candidate.blocks, policy)
    if found is None:
        return Reason(check, Outcome.INCONCLUSIVE, f"no AUC on {held_out}: {AUC_NEEDS}", {"floor": floor})
    shortfall = Range(floor - found.high, floor - found.low)
    text = f"AUC {found} on {held_out}, floor {floor:g}"
    return Reason(check, within(shortfall, 0.0), text, {**asdict(found), "floor": floor})


def _calibration(candidate: Candidate, policy: GatePolicy) -> Reason:
    check, ceiling, found = "gate.calibration", policy.ece_ceiling, candidate.ece
    held_out = measured_on(candidate.rows, candidate.blocks, policy)
    if found is None:
        text = f"no calibration error on {held_out}: {MEAN_NEEDS}"
        return Reason(check, Outcome.INCONCLUSIVE, text, {"ceiling": ceiling})
    text = f"calibration error {found} on {held_out}, ceiling {ceiling:g}"
    return Reason(check, within(found, ceiling), text, {**asdict(found), "ceiling": ceiling})


def _size(candidate: Candidate, policy: GatePolicy) -> Reason:
    outcome = Outcome.PASS if candidate.size_mb <= policy.size_mb else Outcome.FAIL
    text = f"model file {candidate.size_mb:.2f} MB, budget {policy.size_mb:g} MB"
    return Reason("gate.size", outcome, text, {"value": candidate.size_mb, "budget": policy.size_mb})
