from datetime import timedelta

import pytest

from everloop.decide.policy import RecalibrationPolicy, RolloutPolicy

ABOVE = "RecalibrationPolicy.{} is {}: it must be above 0"


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (RecalibrationPolicy(intercept_spread=0), ABOVE.format("intercept_spread", 0)),
        (RecalibrationPolicy(slope_spread=-1), ABOVE.format("slope_spread", -1)),
        (RecalibrationPolicy(margin=0), ABOVE.format("margin", 0)),
        (RecalibrationPolicy(cost_margin=0), ABOVE.format("cost_margin", 0)),
        (RecalibrationPolicy(minimum_labels=0), ABOVE.format("minimum_labels", 0)),
        (RecalibrationPolicy(every=timedelta(0)), ABOVE.format("every", "0:00:00")),
        (
            RecalibrationPolicy(half_life=timedelta(hours=23)),
            "RecalibrationPolicy.half_life is 23:00:00: it must be at least block (1 day, 0:00:00), whose rows move together",
        ),
        (RecalibrationPolicy(confidence=0.4), "RecalibrationPolicy.confidence is 0.4: it must be at least 0.5 and below 1"),
        (RecalibrationPolicy(confidence=1), "RecalibrationPolicy.confidence is 1: it must be at least 0.5 and below 1"),
        (
            RecalibrationPolicy(minimum_blocks=1),
            "RecalibrationPolicy.minimum_blocks is 1: it must be 2 or more, one alone tells no interval",
        ),
        (RecalibrationPolicy(cron="daily"), 'RecalibrationPolicy.cron is "daily": give minute, hour, day, month and weekday'),
        (
            RecalibrationPolicy(rollout=RolloutPolicy()),
            "RecalibrationPolicy.rollout.approval is True: nobody is asked about a recalibration, so it must be False",
        ),
        (
            RecalibrationPolicy(rollout=RolloutPolicy(approval=False, steps=())),
            "RecalibrationPolicy.rollout: RolloutPolicy.steps is (): shares must ascend within (0, 1]",
        ),
    ],
)
def test_what_does_not_hold_together_is_told(policy, told):
    assert policy.problems() == [told]


def test_a_block_of_no_length_is_told():
    assert ABOVE.format("block", "0:00:00") in RecalibrationPolicy(block=timedelta(0)).problems()
    assert ABOVE.format("half_life", "0:00:00") in RecalibrationPolicy(half_life=timedelta(0)).problems()


@pytest.mark.parametrize(
    "policy",
    [
        RecalibrationPolicy(),
        RecalibrationPolicy(half_life=timedelta(days=1), confidence=0.5, minimum_blocks=2, minimum_labels=1),
        RecalibrationPolicy(every=timedelta(hours=1), margin=1e-9),
    ],
)
def test_a_sound_policy_has_no_problem(policy):
    assert policy.problems() == []


def test_labels_are_looked_at_until_they_weigh_next_to_nothing():
    assert RecalibrationPolicy(half_life=timedelta(days=2)).window == timedelta(days=12)


def test_the_short_rollout_asks_nobody_and_lets_decisions_differ():
    rollout = RecalibrationPolicy().rollout
    assert (rollout.approval, rollout.decision_shift, rollout.steps) == (False, 1.0, (1.0,))
