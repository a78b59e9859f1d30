import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.statistics.multiplicity import step_down

P_VALUES = st.lists(st.floats(0, 1), max_size=12)


def shown(p_values, family=None, alpha=0.05):
    levels = step_down(lambda i, level: p_values[i] <= level, len(p_values), alpha, family)
    return [p <= level for p, level in zip(p_values, levels, strict=True)]


def adjusted(p_values):
    """Holm's adjusted p-values: the running maximum of (m - k + 1) p(k)."""
    order = np.argsort(p_values, kind="stable")
    raised = np.maximum.accumulate((len(p_values) - np.arange(len(p_values))) * np.array(p_values)[order])
    return np.minimum(1, raised)[np.argsort(order, kind="stable")]


def test_the_worked_example_of_holm():
    # p = 0.01, 0.02, 0.03, 0.04 at 0.05: 0.01 <= 0.05 / 4, then 0.02 > 0.05 / 3 ends it.
    assert shown([0.02, 0.01, 0.04, 0.03]) == [False, True, False, False]
    assert step_down(lambda i, level: [0.04, 0.01][i] <= level, 2, 0.05) == [0.05, 0.025]


@given(P_VALUES)
def test_shows_what_holms_adjusted_p_values_show(p_values):
    assert shown(p_values) == (adjusted(p_values) <= 0.05).tolist()


@given(P_VALUES, st.integers(0, 30))
def test_a_larger_family_never_shows_more(p_values, more):
    few, many = shown(p_values), shown(p_values, len(p_values) + more)
    assert all(before or not after for before, after in zip(few, many, strict=True))


def test_nothing_compared_has_no_level():
    assert step_down(lambda i, level: True, 0, 0.05) == []


def test_of_a_family_without_effects_any_is_shown_at_most_as_often_as_said():
    rng = np.random.default_rng(1)
    wrong = [any(shown(rng.random(30).tolist())) for _ in range(3_000)]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.012)


def test_what_is_shown_is_judged_at_the_level_that_showed_it_and_the_rest_at_the_last() -> None:
    p_values = [0.04, 0.3, 0.001, 0.02, 0.012]
    levels = step_down(lambda i, level: p_values[i] <= level, 5, 0.05)
    assert levels == pytest.approx([0.05 / 3, 0.05 / 3, 0.05 / 5, 0.05 / 3, 0.05 / 4])
    levels = step_down(lambda i, level: p_values[i] <= level, 5, 0.1, family=7)
    assert levels == pytest.approx([0.1 / 4, 0.1 / 4, 0.1 / 7, 0.1 / 5, 0.1 / 7])


def test_a_family_smaller_than_what_is_compared_counts_as_all_of_that() -> None:
    assert step_down(lambda i, level: False, 4, 0.04, family=2) == step_down(lambda i, level: False, 4, 0.04) == [0.01] * 4
