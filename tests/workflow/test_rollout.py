from __future__ import annotations

from datetime import timedelta

import pytest

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.state import ReleaseState, Stage
from everloop.workflow.rollout import left, waiting


def state(stage: Stage, rollout: str | None = "r1", resume: Stage | None = None) -> ReleaseState:
    return ReleaseState(champion="a", challenger="b", rollout=rollout, stage=stage, resume=resume)


@pytest.mark.parametrize(
    ("stage", "now", "answer"),
    [
        (Stage.CHECK, state(Stage.CHECK), False),
        (Stage.CHECK, state(Stage.SHADOW), True),
        (Stage.SHADOW, state(Stage.CANARY), True),
        (Stage.CANARY, state(Stage.SHADOW), False),
        (Stage.CANARY, state(Stage.PAUSED, resume=Stage.CANARY), False),
        (Stage.SHADOW, state(Stage.PAUSED, resume=Stage.CANARY), True),
        (Stage.WATCH, state(Stage.WATCH), False),
        (Stage.WATCH, state(Stage.IDLE, rollout=None), True),
        (Stage.CHECK, state(Stage.CHECK, rollout="r2"), True),
        (Stage.CHECK, state(Stage.EXPERIMENT), False),
        (Stage.CHECK, state(Stage.EXPERIMENT, rollout="r2"), True),
    ],
)
def test_a_stage_is_left_when_the_rollout_is_further_or_over_or_replaced(stage: Stage, now: ReleaseState, answer: bool) -> None:
    assert left(stage, "r1", now) is answer


def test_without_a_rollout_every_stage_is_left_at_once() -> None:
    assert left(Stage.CHECK, None, ReleaseState())


def test_frequent_looks_at_a_short_stage_keep_the_worker() -> None:
    policy = RolloutPolicy(poll=timedelta(seconds=3), watch_time=timedelta(seconds=20))
    assert waiting(policy, Stage.WATCH) == {"poke_interval": 3.0, "mode": "poke"}


def test_a_long_watch_gives_its_worker_back_between_looks() -> None:
    policy = RolloutPolicy(poll=timedelta(seconds=30), watch_time=timedelta(days=1))
    assert waiting(policy, Stage.WATCH) == {"poke_interval": 60.0, "mode": "reschedule"}
    assert waiting(policy, Stage.CANARY)["mode"] == "poke"


def test_rare_looks_give_the_worker_back() -> None:
    policy = RolloutPolicy(poll=timedelta(minutes=5))
    assert waiting(policy, Stage.CHECK) == {"poke_interval": 300.0, "mode": "reschedule"}
