import pytest

from everloop.decide.policy import CostMatrix


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (CostMatrix(false_positive=0), ["CostMatrix.false_positive is 0: a cost must be above 0"]),
        (CostMatrix(false_negative=-1), ["CostMatrix.false_negative is -1: a cost must be above 0"]),
    ],
)
def test_what_does_not_hold_together_is_told(policy, told):
    assert policy.problems() == told


@pytest.mark.parametrize("policy", [CostMatrix(), CostMatrix(false_positive=0.1, false_negative=2)])
def test_a_sound_policy_has_no_problem(policy):
    assert policy.problems() == []


def test_the_threshold_is_where_both_errors_cost_the_same():
    matrix = CostMatrix(false_positive=1, false_negative=3)
    assert matrix.threshold * matrix.false_negative == (1 - matrix.threshold) * matrix.false_positive
