import pytest

from everloop.decide.policy import RolloutPolicy


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (RolloutPolicy(shadow_share=1.5), ["RolloutPolicy.shadow_share is 1.5: it must lie in [0, 1]"]),
        (RolloutPolicy(alpha=1.5), ["RolloutPolicy.alpha is 1.5: it must lie in [0, 1]"]),
        (RolloutPolicy(srm_alpha=1.5), ["RolloutPolicy.srm_alpha is 1.5: it must lie in [0, 1]"]),
        (RolloutPolicy(error_rate_margin=1.5), ["RolloutPolicy.error_rate_margin is 1.5: it must lie in [0, 1]"]),
        (RolloutPolicy(missing_margin=1.5), ["RolloutPolicy.missing_margin is 1.5: it must lie in [0, 1]"]),
        (RolloutPolicy(score_shift=1.5), ["RolloutPolicy.score_shift is 1.5: it must lie in [0, 1]"]),
        (RolloutPolicy(steps=()), ["RolloutPolicy.steps is (): shares must ascend within (0, 1]"]),
        (RolloutPolicy(steps=(0.5, 0.1)), ["RolloutPolicy.steps is (0.5, 0.1): shares must ascend within (0, 1]"]),
        (RolloutPolicy(steps=(0.5, 0.5)), ["RolloutPolicy.steps is (0.5, 0.5): shares must ascend within (0, 1]"]),
        (RolloutPolicy(steps=(0.0, 0.5)), ["RolloutPolicy.steps is (0.0, 0.5): shares must ascend within (0, 1]"]),
        (RolloutPolicy(steps=(0.5, 1.1)), ["RolloutPolicy.steps is (0.5, 1.1): shares must ascend within (0, 1]"]),
    ],
)
def test_what_does_not_hold_together_is_told(policy, told):
    assert policy.problems() == told


@pytest.mark.parametrize("policy", [RolloutPolicy(), RolloutPolicy(steps=(0.2,)), RolloutPolicy(steps=(0.2, 1.0), alpha=1)])
def test_a_sound_policy_has_no_problem(policy):
    assert policy.problems() == []
