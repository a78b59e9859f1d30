from datetime import timedelta

import pytest

from everloop.decide.policy import RolloutPolicy

SPENT = (
    "RolloutPolicy.srm_alpha is {}: in {} steps it spends {}, and alpha, for all guardrails together, is {}: lower srm_alpha or "
    "raise alpha"
)
MARGIN_ALPHA = "RolloutPolicy.margin_alpha is {}: it must lie above 0 and below 0.5"


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (RolloutPolicy(shadow_share=1.5), ["RolloutPolicy.shadow_share is 1.5: it must lie in [0, 1]"]),
        (RolloutPolicy(alpha=1.5), ["RolloutPolicy.alpha is 1.5: it must lie in [0, 1]"]),
        (RolloutPolicy(error_rate_margin=1.5), ["RolloutPolicy.error_rate_margin is 1.5: it must lie in [0, 1]"]),
        (RolloutPolicy(missing_margin=1.5), ["RolloutPolicy.missing_margin is 1.5: it must lie in [0, 1]"]),
        (RolloutPolicy(decision_shift=1.5), ["RolloutPolicy.decision_shift is 1.5: it must lie in [0, 1]"]),
        (RolloutPolicy(ranking_shift=-0.1), ["RolloutPolicy.ranking_shift is -0.1: it must lie in [0, 1]"]),
        (RolloutPolicy(steps=()), ["RolloutPolicy.steps is (): shares must ascend within (0, 1]"]),
        (RolloutPolicy(steps=(0.5, 0.1)), ["RolloutPolicy.steps is (0.5, 0.1): shares must ascend within (0, 1]"]),
        (RolloutPolicy(steps=(0.5, 0.5)), ["RolloutPolicy.steps is (0.5, 0.5): shares must ascend within (0, 1]"]),
        (RolloutPolicy(steps=(0.0, 0.5)), ["RolloutPolicy.steps is (0.0, 0.5): shares must ascend within (0, 1]"]),
        (RolloutPolicy(steps=(0.5, 1.1)), ["RolloutPolicy.steps is (0.5, 1.1): shares must ascend within (0, 1]"]),
        (RolloutPolicy(margin_alpha=0.0), [MARGIN_ALPHA.format(0.0)]),
        (RolloutPolicy(margin_alpha=0.5), [MARGIN_ALPHA.format(0.5)]),
        (RolloutPolicy(block=timedelta(0)), ["RolloutPolicy.block is 0:00:00: it must be above 0"]),
        (RolloutPolicy(srm_alpha=0.01), [SPENT.format(0.01, 5, 0.05, 0.05)]),
        (RolloutPolicy(steps=(0.5,), alpha=0.0, srm_alpha=0.0), [SPENT.format(0.0, 1, 0, 0.0)]),
        (
            RolloutPolicy(steps=(0.5,), srm_alpha=1.5, alpha=1.0),
            ["RolloutPolicy.srm_alpha is 1.5: it must lie in [0, 1]", SPENT.format(1.5, 1, 1.5, 1.0)],
        ),
    ],
)
def test_what_does_not_hold_together_is_told(policy, told):
    assert policy.problems() == told


@pytest.mark.parametrize(
    "policy",
    [
        RolloutPolicy(),
        RolloutPolicy(steps=(0.2,)),
        RolloutPolicy(steps=(0.2, 1.0), alpha=1),
        RolloutPolicy(margin_alpha=0.4999),
        RolloutPolicy(srm_alpha=0.0099),
        RolloutPolicy(block=timedelta(microseconds=1)),
    ],
)
def test_a_sound_policy_has_no_problem(policy):
    assert policy.problems() == []


def test_all_problems_are_told_at_once():
    assert len(RolloutPolicy(alpha=-1, steps=(), margin_alpha=1, block=-timedelta(days=1)).problems()) == 5
