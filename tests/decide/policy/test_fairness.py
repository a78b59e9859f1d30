from __future__ import annotations

import pytest

from everloop.decide.policy import FairnessPolicy


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (FairnessPolicy(selection_ratio=80), "selection_ratio is 80: it must lie in"),
        (FairnessPolicy(error_rate_difference=-0.1), "error_rate_difference is -0.1"),
        (FairnessPolicy(minimum=0), "minimum is 0: it must be 1 or more"),
        (FairnessPolicy(against="all"), 'against is "all": use "whole" or "groups"'),
    ],
)
def test_a_fairness_policy_that_does_not_hold_together_is_told(policy: FairnessPolicy, told: str) -> None:
    (problem,) = policy.problems()
    assert told in problem


def test_the_four_fifths_rule_is_one_policy() -> None:
    rule = FairnessPolicy.four_fifths("sex", "age_band", favourable=False)
    assert (rule.columns, rule.selection_ratio, rule.error_rate_difference) == (("sex", "age_band"), 0.8, None)
    assert rule.judges
    assert rule.problems() == []
