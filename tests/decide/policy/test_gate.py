from datetime import timedelta

import pytest

from everloop.decide.policy import BehaviourPolicy, GatePolicy


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (GatePolicy(confidence=95), ["GatePolicy.confidence is 95: it must lie in [0, 1]"]),
        (GatePolicy(auc_floor=-0.1), ["GatePolicy.auc_floor is -0.1: it must lie in [0, 1]"]),
        (GatePolicy(auc_ceiling=1.5), ["GatePolicy.auc_ceiling is 1.5: it must lie in [0, 1]"]),
        (
            GatePolicy(auc_floor=0.7, auc_ceiling=0.7),
            ["GatePolicy.auc_ceiling is 0.7: it must be above auc_floor (0.7), or None"],
        ),
        (GatePolicy(block=timedelta(0)), ["GatePolicy.block is 0:00:00: it must be above 0"]),
        (GatePolicy(behaviour=BehaviourPolicy(rows=0)), ["BehaviourPolicy.rows is 0: it must be 1 or more"]),
    ],
)
def test_what_does_not_hold_together_is_told(policy, told):
    assert policy.problems() == told


@pytest.mark.parametrize(
    "policy",
    [GatePolicy(), GatePolicy(confidence=1, auc_floor=0, block=timedelta(microseconds=1)), GatePolicy(auc_ceiling=None)],
)
def test_a_sound_policy_has_no_problem(policy):
    assert policy.problems() == []
