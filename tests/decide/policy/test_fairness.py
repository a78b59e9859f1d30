from __future__ import annotations

import pytest

from everloop.decide.policy import FairnessPolicy

LIMITS = ("selection_difference", "opportunity_difference", "error_rate_difference", "selection_ratio")


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (FairnessPolicy(minimum=0), "FairnessPolicy.minimum is 0: it must be 1 or more"),
        (FairnessPolicy(against="all"), 'FairnessPolicy.against is "all": use "whole" or "groups"'),
        *((FairnessPolicy(**{name: 80}), f"FairnessPolicy.{name} is 80: it must lie in [0, 1]") for name in LIMITS),
    ],
)
def test_a_fairness_policy_that_does_not_hold_together_is_told(policy: FairnessPolicy, told: str) -> None:
    assert policy.problems() == [told]


def test_a_sound_fairness_policy_has_no_problem() -> None:
    assert FairnessPolicy().problems() == FairnessPolicy(minimum=1, against="groups", selection_ratio=1).problems() == []


@pytest.mark.parametrize("name", LIMITS)
def test_any_limit_judges_and_without_one_groups_are_reported_only(name: str) -> None:
    unlimited = FairnessPolicy(columns=("sex",))
    assert not unlimited.judges
    assert FairnessPolicy(**{name: 0.0}).judges


def test_the_four_fifths_rule_is_one_policy() -> None:
    rule = FairnessPolicy.four_fifths("sex", "age_band", favourable=False, minimum=30)
    assert rule == FairnessPolicy(columns=("sex", "age_band"), selection_ratio=0.8, favourable=False, minimum=30)
    assert (FairnessPolicy.four_fifths("sex").minimum, FairnessPolicy.four_fifths("sex").favourable) == (200, True)
    assert rule.judges
    assert rule.problems() == []


def test_no_limit_is_set_by_default() -> None:
    assert [getattr(FairnessPolicy(), name) for name in LIMITS] == [None] * 4
    assert FairnessPolicy().missing
