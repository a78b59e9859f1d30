from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from everloop.decide.policy import CostMatrix
from everloop.decide.statistics.compare import Estimate, auc, auc_difference, costs, expected_costs, mean_difference, placements

LABELLED = st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=40)


def columns(rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels, first, second = zip(*rows, strict=True)
    return np.array(labels), np.array(first) / 8, np.array(second) / 8


def correlated(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and two scores that share most of their signal."""
    random = np.random.default_rng(seed)
    labels = random.uniform(size=rows) < 0.3
    signal = labels + random.normal(size=rows)
    return labels, signal + 0.5 * random.normal(size=rows), signal + 0.5 * random.normal(size=rows)


@given(LABELLED)
def test_auc_is_scikit_learns_ties_included(rows) -> None:
    labels, scores, _ = columns(rows)
    found = auc(labels, scores)
    if min(labels.sum(), (~labels).sum()) < 2:
        assert found is None
    else:
        assert found is not None
        assert found.value == pytest.approx(roc_auc_score(labels, scores))


@given(LABELLED)
def test_the_components_are_delongs_kernel_averaged_over_the_other_class(rows) -> None:
    labels, scores, _ = columns(rows)
    if (found := placements(labels, scores)) is None:
        return
    kernel = (np.sign(scores[labels][:, None] - scores[~labels][None, :]) + 1) / 2
    np.testing.assert_allclose(found.positives, kernel.mean(axis=1))
    np.testing.assert_allclose(found.negatives, kernel.mean(axis=0))


def test_the_intervals_width_is_that_of_delongs_covariance_formula() -> None:
    labels, first, second = correlated(300, seed=1)
    a, b = placements(labels, first), placements(labels, second)
    assert a is not None
    assert b is not None
    s10, s01 = np.cov(a.positives, b.positives), np.cov(a.negatives, b.negatives)
    covariance = s10 / labels.sum() + s01 / (~labels).sum()
    contrast = np.array([1, -1])
    error = float(np.sqrt(contrast @ covariance @ contrast))
    found = auc_difference(labels, first, second, 0.9)
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(labels, first) - roc_auc_score(labels, second))
    assert found.high - found.low == pytest.approx(2 * stats.norm.ppf(0.95) * error)


def test_ninety_percent_intervals_of_the_auc_difference_cover_no_difference_in_ninety_of_a_hundred() -> None:
    covered = 0
    for seed in range(400):
        found = auc_difference(*correlated(200, seed), confidence=0.9)
        assert found is not None
        covered += found.low <= 0 <= found.high
    assert stats.binomtest(covered, 400, 0.9).pvalue > 0.001


def test_a_model_does_not_differ_from_itself() -> None:
    labels, scores, _ = correlated(100, seed=2)
    found = auc_difference(labels, scores, scores)
    assert found is not None
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_costs_count_misses_and_false_alarms_at_their_price() -> None:
    labels, decisions = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert costs(labels, decisions, CostMatrix(false_positive=2, false_negative=5)).tolist() == [0, 5, 2, 0]


def test_the_paired_interval_is_scipys_one_sample_interval_in_large_samples() -> None:
    random = np.random.default_rng(3)
    first, second = random.gamma(2, size=2_000), random.gamma(2, size=2_000)
    found = mean_difference(first, second, 0.95)
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(expected.low, rel=1e-2), pytest.approx(expected.high, rel=1e-2))


def test_one_row_has_no_interval() -> None:
    assert mean_difference(np.array([1.0]), np.array([0.0])) is None


def test_the_interval_of_an_auc_is_delongs_worked_by_hand() -> None:
    # Of the positives 0.9 lies above both negatives, 0.4 above one: components 1 and 1/2; the negatives' likewise.
    labels, scores = np.array([True, True, False, False]), np.array([0.9, 0.4, 0.5, 0.1])
    half = stats.norm.ppf(0.975) * np.sqrt(0.125 / 2 + 0.125 / 2)
    found = auc(labels, scores)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.75, 0.75 - half, 0.75 + half))
    assert found.rows == 4
    assert auc(labels[:3], scores[:3]) is None
    assert auc(labels[1:], scores[1:]) is None


def test_the_interval_of_a_mean_difference_is_the_normal_one_worked_by_hand() -> None:
    found = mean_difference(np.array([2.0, 4.0, 9.0]), np.array([1.0, 2.0, 3.0]))
    half = stats.norm.ppf(0.975) * np.sqrt(7 / 3)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((3, 3 - half, 3 + half))
    assert found.rows == 3
    assert mean_difference(np.array([2.0, 4.0]), np.array([1.0, 2.0])) is not None


def test_intervals_are_at_ninety_five_percent_unless_said_otherwise() -> None:
    labels, first, second = correlated(80, seed=4)
    assert auc(labels, first) == auc(labels, first, 0.95) != auc(labels, first, 0.9)
    assert auc_difference(labels, first, second) == auc_difference(labels, first, second, 0.95)
    assert mean_difference(first, second) == mean_difference(first, second, 0.95) != mean_difference(first, second, 0.9)


def test_an_estimate_reads_as_its_value_and_interval() -> None:
    assert str(Estimate(value=0.71, low=0.69444, high=0.7, rows=9)) == "0.7100 [0.6944, 0.7000]"


def test_expected_costs_weigh_both_mistakes_by_their_chance() -> None:
    chances, decisions = np.array([0.3, 0.3]), np.array([True, False])
    assert expected_costs(chances, decisions, CostMatrix(false_positive=2, false_negative=5)) == pytest.approx([1.4, 1.5])


@given(LABELLED)
def test_a_difference_is_undefined_where_either_auc_is(rows) -> None:
    labels, first, second = columns(rows)
    assert (auc_difference(labels, first, second) is None) is (auc(labels, first) is None)


def test_an_estimate_at_another_confidence_is_the_one_that_would_have_been_made_there() -> None:
    made, wanted = (Estimate.normal(0.3, 0.04, 50, confidence) for confidence in (0.95, 0.8))
    found = made.at(0.8, made_at=0.95)
    assert (found.value, found.low, found.high, found.rows) == pytest.approx((0.3, wanted.low, wanted.high, 50))
    lopsided = Estimate(value=0.3, low=0.2, high=0.6, rows=9).at(0.8, made_at=0.95)
    share = stats.norm.ppf(0.9) / stats.norm.ppf(0.975)
    assert (lopsided.low, lopsided.high) == pytest.approx((0.3 - 0.1 * share, 0.3 + 0.3 * share))
