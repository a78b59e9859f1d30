"""Where a use case's releases stand: the value that the ledger carries from row to row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Stage(StrEnum):
    """The stages of a rollout, in order; `IDLE` when nothing is on trial, `PAUSED` when a person is asked.

    `EXPERIMENT` is no stage of a rollout: two releases are compared, and neither is promoted by it.
    """

    IDLE = "idle"
    CHECK = "check"
    SHADOW = "shadow"
    CANARY = "canary"
    WATCH = "watch"
    PAUSED = "paused"
    EXPERIMENT = "experiment"


@dataclass(frozen=True, kw_only=True)
class ReleaseState:
    """Who serves and who is on trial.

    `champion` serves; in `WATCH` it is the newly promoted release and `previous` is scored in its shadow.
    `challenger` is on trial in CHECK, SHADOW, CANARY and PAUSED and gets `weight` of the traffic (0 to 1); in EXPERIMENT it is
    the treatment, and the champion the control. `rollout` names the trial, rollout or experiment, and salts the assignment of
    entities to arms. `step` indexes `RolloutPolicy.steps` in CANARY.
    `since`: when the stage (or step) began, wall clock, UTC. `resume` remembers the stage that a pause interrupted.
    """

    champion: str | None = None
    previous: str | None = None
    challenger: str | None = None
    rollout: str | None = None
    stage: Stage = Stage.IDLE
    step: int = 0
    weight: float = 0.0
    since: datetime | None = None
    resume: Stage | None = None

    @property
    def shadow(self) -> str | None:
        """The release that is scored beside the answering one: the challenger, or in WATCH the previous champion."""
        return self.previous if self.stage is Stage.WATCH else self.challenger
