"""Whether to recalibrate, and why: labels show that scores are off where decisions are made, or time.

That a model has aged is told apart: `decide.watch.retrain` holds windows against what the booster did when it was released,
whatever calibrator serves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from everloop.decide.policy import RecalibrationPolicy
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.statistics.estimate import Estimate

FREE = frozenset({Stage.IDLE, Stage.WATCH})
"""The stages in which a recalibration may begin: as for a training, a watch is no obstacle (`steps.release`)."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What labels of the serving booster's rows say: how many they are, of how many blocks of time.

    `shift`: by how much the log odds of scores at the decision threshold are off, with its interval. `calibrated_through`: until
    when the serving calibrator knows of labels. `through`: when the latest of these was known.
    """

    labels: int
    blocks: int
    shift: Estimate
    calibrated_through: datetime
    through: datetime


@dataclass(frozen=True, kw_only=True)
class RecalibrationDecision:
    """Whether to recalibrate. `triggers`: `labels`, `schedule`."""

    recalibrate: bool
    reason: str
    triggers: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the ledger and XCom carry it."""
        return {"recalibrate": self.recalibrate, "reason": self.reason, "triggers": list(self.triggers)}


def should_recalibrate(seen: Seen | None, state: ReleaseState, policy: RecalibrationPolicy) -> RecalibrationDecision:
    """Decide from what the labels say, all in data time; never while a release is on trial, nor without newer labels."""
    if state.champion is None:
        return _no("no release serves yet: there is nothing to recalibrate")
    if state.stage not in FREE:
        return _no(f"{state.challenger} is on trial (stage {state.stage}): what becomes of it is decided first")
    if seen is None or seen.labels < policy.minimum_labels or seen.blocks < policy.minimum_blocks:
        labels, blocks = (seen.labels, seen.blocks) if seen else (0, 0)
        wanted = f"{policy.minimum_labels} of {policy.minimum_blocks} wanted"
        return _no(f"{labels} labels of {blocks} blocks of time are too few to recalibrate on: {wanted}")
    return _by_labels(seen, policy)


def _by_labels(seen: Seen, policy: RecalibrationPolicy) -> RecalibrationDecision:
    since = f"the calibrator knows of labels until {seen.calibrated_through:%Y-%m-%d %H:%MZ}"
    if seen.through <= seen.calibrated_through:
        return _no(f"{since}, and none is newer")
    told = f"where decisions are made, scores are {_off(seen.shift)} ({seen.labels} labels of {seen.blocks} blocks of time)"
    if seen.shift.low > 0 or seen.shift.high < 0:
        return RecalibrationDecision(recalibrate=True, reason=told, triggers=("labels",))
    if policy.every is not None and seen.through - seen.calibrated_through >= policy.every:
        reason = f"by schedule: {since}, and it is to learn of new ones every {policy.every}; {told}"
        return RecalibrationDecision(recalibrate=True, reason=reason, triggers=("schedule",))
    return _no(f"{told}, not shown to differ from 0")


def _off(shift: Estimate) -> str:
    """Whether scores are too low or too high, and by how much, in words."""
    direction, by = ("high", -shift) if shift.value < 0 else ("low", shift)
    return f"too {direction} by {by} in log odds"


def _no(reason: str) -> RecalibrationDecision:
    return RecalibrationDecision(recalibrate=False, reason=reason)
