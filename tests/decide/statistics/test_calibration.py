from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t

from everloop.decide.statistics.calibration import calibration_bins, calibration_error, calibration_interval

RNG = np.random.default_rng(11)


def drawn(rows: int, off: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of scores that promise `off` too much."""
    scores = RNG.beta(2, 5, rows)
    return RNG.random(rows) < np.clip(scores - off, 0, 1), scores


def test_calibration_error_of_known_bins() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 0], dtype=bool)
    scores = np.array([0.1, 0.1, 0.1, 0.1, 0.8, 0.8, 0.8, 0.8])
    assert calibration_error(labels, scores, bins=2) == pytest.approx((abs(0.1 - 0.25) + abs(0.8 - 0.75)) / 2)


@pytest.mark.parametrize(("rows", "off"), [(300, 0.0), (300, 0.1), (5_000, 0.0), (5_000, 0.03)])
def test_the_interval_holds_the_error_of_endless_rows(rows: int, off: float) -> None:
    true = calibration_error(*drawn(1_000_000, off)) if off else 0.0
    found = [calibration_interval(*drawn(rows, off)) for _ in range(300)]
    covered = np.mean([one.low <= true <= one.high for one in found if one])
    assert covered >= 0.95 - 2.5 * np.sqrt(0.05 * 0.95 / 300)


def test_the_error_that_chance_alone_shows_does_not_speak_against_perfect_scores() -> None:
    found = [calibration_interval(*drawn(200)) for _ in range(300)]
    assert np.mean([one.value for one in found if one]) > 0.05
    assert np.mean([one.low > 0 for one in found if one]) < 0.025


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=40))
def test_the_interval_holds_the_estimate(rows) -> None:
    labels, scores = np.array([label for label, _ in rows]), np.array([score for _, score in rows])
    found = calibration_interval(labels, scores)
    assert found is not None
    assert 0 <= found.low <= found.value <= found.high
    assert found.value == pytest.approx(calibration_error(labels, scores))


def test_rows_of_one_label_do_not_make_it_sure() -> None:
    found = calibration_interval(np.zeros(20, dtype=bool), np.full(20, 0.01))
    assert found is not None
    assert found.high > 0.03


def test_no_row_has_no_calibration() -> None:
    assert calibration_interval(np.zeros(0, dtype=bool), np.zeros(0)) is None


def test_bins_are_of_equal_size() -> None:
    assert calibration_bins(*drawn(1_000))[2] == pytest.approx(np.full(10, 0.1))


def test_the_interval_is_the_formulas_worked_by_hand() -> None:
    # Two bins: 26 rows at 0.6 without a positive, 25 rows at 0.9 with five.
    labels, scores = np.repeat([False, True, False], [26, 5, 20]), np.repeat([0.6, 0.9], [26, 25])
    found = calibration_interval(labels, scores, 0.8, 2)
    share, rate = np.array([26, 25]) / 51, np.array([1 / 28, 6 / 27])
    deviations = share * np.sqrt(rate * (1 - rate) / np.array([26, 25]))
    value, half = (26 * 0.6 + 25 * 0.7) / 51, norm.ppf(0.9) * np.sqrt(np.square(deviations).sum())
    assert found is not None
    assert (found.value, found.rows) == (pytest.approx(value), 51)
    assert found.high == pytest.approx(value + half)
    assert found.low == pytest.approx(value - np.sqrt(2 / np.pi) * deviations.sum() - half)


def test_it_is_of_ten_bins_at_ninety_five_percent_unless_said_otherwise() -> None:
    labels, scores = drawn(400)
    assert calibration_interval(labels, scores) == calibration_interval(labels, scores, 0.95, 10)
    assert calibration_error(labels, scores) == calibration_error(labels, scores, 10) != calibration_error(labels, scores, 9)


def test_rows_of_one_score_stay_in_their_order() -> None:
    labels, scores = np.repeat([True, False], 100), np.tile([0.75, 0.25], 100)
    means, rates, shares = calibration_bins(labels, scores, 4)
    assert (means.tolist(), rates.tolist(), shares.tolist()) == ([0.25, 0.25, 0.75, 0.75], [1, 0, 1, 0], [0.25] * 4)


def test_fewer_rows_than_bins_make_fewer_bins() -> None:
    means, rates, shares = calibration_bins(np.array([True, False]), np.array([0.9, 0.1]))
    assert (means.tolist(), rates.tolist(), shares.tolist()) == ([0.1, 0.9], [0, 1], [0.5, 0.5])


def by_day(days: int, rows: int, off: float, storms: float = 0.2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores that promise `off` too much on the whole, and days that each promise more or less."""
    day = np.repeat(np.arange(days), rows)
    scores = RNG.beta(3, 3, days * rows)
    chances = scores - off + RNG.normal(scale=storms, size=days)[day]
    return RNG.random(days * rows) < np.clip(chances, 0, 1), scores, day


@pytest.mark.parametrize(("days", "off"), [(14, 0.0), (35, 0.0), (14, 0.06), (35, 0.06)])
def test_of_days_that_differ_the_interval_by_day_holds_the_error_of_endless_days(days: int, off: float) -> None:
    true = calibration_error(*by_day(5_000, 100, off)[:2])
    covered = {"day": 0, "row": 0}
    for _ in range(200):
        labels, scores, day = by_day(days, 100, off)
        for name, units in (("day", day), ("row", None)):
            one = calibration_interval(labels, scores, units=units)
            covered[name] += one.low <= true <= one.high
    assert covered["day"] / 200 >= 0.95 - 2.5 * np.sqrt(0.05 * 0.95 / 200)
    assert covered["row"] < 0.9 * 200


def test_by_units_the_interval_is_the_formulas_worked_by_hand() -> None:
    # One bin of two days: 3 of 10 and 7 of 10 positive, all scores 0.8. Sums of residuals over days, of 20 rows: +-2 / 20.
    labels, scores = np.repeat([True, False, True, False], [3, 7, 7, 3]), np.full(20, 0.8)
    found = calibration_interval(labels, scores, 0.8, 1, units=np.repeat([4, 9], 10))
    deviation, reach = np.sqrt(2 * (0.1**2 + 0.1**2)), t.ppf(0.9, 1)
    assert (found.value, found.rows, found.units, found.freedom) == (pytest.approx(0.3), 20, 2, 1)
    assert found.high == pytest.approx(0.3 + reach * deviation)
    assert found.low == 0.0
    sure = calibration_interval(np.repeat(labels, 50), np.repeat(scores, 50), 0.8, 1, units=np.arange(1_000))
    half = np.sqrt(0.25 / 1_000)
    below = 0.3 - np.sqrt(2 / np.pi) * half - t.ppf(0.9, 999) * np.sqrt(1 - 2 / np.pi) * half
    assert (sure.low, sure.high) == (pytest.approx(below, abs=1e-4), pytest.approx(0.3 + t.ppf(0.9, 999) * half, abs=1e-4))


def test_one_day_tells_no_calibration_error_of_days() -> None:
    labels, scores = drawn(50)
    assert calibration_interval(labels, scores, units=np.zeros(50, dtype=int)) is None


def test_days_of_one_label_are_no_surer_than_independent_rows() -> None:
    labels, scores = np.zeros(20, dtype=bool), np.full(20, 0.01)
    found, alone = calibration_interval(labels, scores, units=np.arange(20) // 2), calibration_interval(labels, scores)
    assert found.high > alone.high
