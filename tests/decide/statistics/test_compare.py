from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from everloop.decide.policy import CostMatrix
from everloop.decide.statistics.clusters import Likeness
from everloop.decide.statistics.compare import auc, auc_difference, costs, expected_costs, mean_difference, placements

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


def test_expected_costs_weigh_both_mistakes_by_their_chance() -> None:
    chances, decisions = np.array([0.3, 0.3]), np.array([True, False])
    assert expected_costs(chances, decisions, CostMatrix(false_positive=2, false_negative=5)) == pytest.approx([1.4, 1.5])


@given(LABELLED)
def test_a_difference_is_undefined_where_either_auc_is(rows) -> None:
    labels, first, second = columns(rows)
    assert (auc_difference(labels, first, second) is None) is (auc(labels, first) is None)


def stormy(days: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, two scores and days: on each day the first score is off by one shift, the second by another; labels have storms."""
    random = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), rows)
    truth = random.normal(size=days * rows) + random.normal(size=days)[day]
    labels = random.uniform(size=days * rows) < stats.norm.cdf(truth - 0.7)
    first, second = (truth + random.normal(size=days * rows) + random.normal(scale=0.8, size=days)[day] for _ in range(2))
    return labels, first, second, day


def test_intervals_by_day_hold_the_truth_where_those_by_row_do_not() -> None:
    # The truth of the paired cost is 0 by symmetry: both scores are drawn alike.
    held = {"day": 0, "row": 0}
    ranks = {"day": 0, "row": 0}
    for seed in range(300):
        labels, first, second, day = stormy(25, 40, seed)
        one, two = ((labels != (score > 0.8)).astype(float) for score in (first, second))
        for name, units in (("day", day), ("row", None)):
            cost, auc_gap = mean_difference(one, two, 0.9, units), auc_difference(labels, first, second, 0.9, units)
            held[name] += cost.low <= 0 <= cost.high
            ranks[name] += auc_gap.low <= 0 <= auc_gap.high
    assert stats.binomtest(held["day"], 300, 0.9).pvalue > 0.001
    assert stats.binomtest(ranks["day"], 300, 0.9).pvalue > 0.001
    assert held["row"] < 240
    assert ranks["row"] < 240


def test_an_auc_by_units_has_obuchowskis_variance() -> None:
    labels, scores, _, day = stormy(12, 30, seed=5)
    found = auc(labels, scores, 0.9, day)
    parts = placements(labels, scores)
    # Obuchowski 1997, eq. 3: sums over clusters of both kinds of components and of their product.
    positives, negatives = day[labels], day[~labels]
    ten = np.array([(parts.positives[positives == k] - parts.auc).sum() for k in range(12)])
    one = np.array([(parts.negatives[negatives == k] - parts.auc).sum() for k in range(12)])
    m, n = labels.sum(), (~labels).sum()
    variance = 12 / 11 * (ten @ ten / m**2 + one @ one / n**2 + 2 * ten @ one / (m * n))
    half = stats.t.ppf(0.95, 11) * np.sqrt(variance)
    assert (found.value, found.high - found.value, found.units, found.freedom) == pytest.approx((parts.auc, half, 12, 11))


def test_units_of_one_row_each_give_the_intervals_of_independent_rows() -> None:
    labels, first, second = correlated(3_000, seed=6)
    alone = np.arange(3_000)
    for by_unit, by_row in (
        (auc(labels, first, 0.95, alone), auc(labels, first)),
        (auc_difference(labels, first, second, 0.95, alone), auc_difference(labels, first, second)),
        (mean_difference(first, second, 0.95, alone), mean_difference(first, second)),
    ):
        assert (by_unit.value, by_unit.low, by_unit.high) == pytest.approx((by_row.value, by_row.low, by_row.high), rel=2e-3)


def test_one_unit_has_no_interval_unless_others_have_shown_how_alike_its_rows_are() -> None:
    labels, first, second, day = stormy(1, 200, seed=7)
    unknown = (
        auc(labels, first, 0.95, day),
        auc_difference(labels, first, second, 0.95, day),
        mean_difference(first, second, 0.95, day),
    )
    assert {(one.low, one.high) for one in unknown} == {(-np.inf, np.inf)}
    known = Likeness(0.1, 20)
    found, alone = mean_difference(first, second, 0.95, day, known), mean_difference(first, second)
    reach = stats.t.ppf(0.975, 20) / stats.norm.ppf(0.975) * np.sqrt(1 + 199 * 0.1)
    assert found.high - found.value == pytest.approx(reach * (alone.high - alone.value))
    assert auc(labels, first, 0.95, day, known).freedom == 20
