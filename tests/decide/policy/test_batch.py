import pytest

from everloop.decide.policy import BatchPolicy


def test_a_part_without_rows_is_told():
    assert BatchPolicy(part_rows=0).problems() == ["BatchPolicy.part_rows is 0: it must be 1 or more"]


@pytest.mark.parametrize("policy", [BatchPolicy(), BatchPolicy(part_rows=1)])
def test_a_sound_policy_has_no_problem(policy):
    assert policy.problems() == []
