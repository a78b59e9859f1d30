from __future__ import annotations

import math

import pytest
from scipy import stats

from everloop.decide.statistics.estimate import Estimate, quantile


def test_an_estimate_reads_as_its_value_and_interval() -> None:
    assert str(Estimate(value=0.71, low=0.69444, high=0.7, rows=9)) == "0.7100 [0.6944, 0.7000]"


def test_a_known_variance_has_normal_ends_and_an_estimated_one_students() -> None:
    sure, unsure = Estimate.around(0.3, 0.04, 50, 0.9), Estimate.around(0.3, 0.04, 50, 0.9, units=7, freedom=6)
    assert (sure.low, sure.high) == pytest.approx((0.3 - 0.2 * stats.norm.ppf(0.95), 0.3 + 0.2 * stats.norm.ppf(0.95)))
    assert (unsure.low, unsure.high) == pytest.approx((0.3 - 0.2 * stats.t.ppf(0.95, 6), 0.3 + 0.2 * stats.t.ppf(0.95, 6)))
    assert (sure.rows, sure.units, sure.freedom) == (50, None, None)
    assert (unsure.rows, unsure.units, unsure.freedom) == (50, 7, 6)


@pytest.mark.parametrize("variance", [0.0, 0.04])
def test_a_variance_that_nothing_tells_has_no_ends(variance: float) -> None:
    found = Estimate.around(0.3, variance, 50, 0.9, units=1, freedom=0)
    assert (found.low, found.high) == (-math.inf, math.inf)


@pytest.mark.parametrize("freedom", [None, 1, 6, 40])
def test_an_estimate_at_another_confidence_is_the_one_that_would_have_been_made_there(freedom: int | None) -> None:
    made, wanted = (Estimate.around(0.3, 0.04, 50, level, units=9, freedom=freedom) for level in (0.95, 0.8))
    found = made.at(0.8, made_at=0.95)
    assert (found.value, found.low, found.high) == pytest.approx((0.3, wanted.low, wanted.high))
    assert (found.rows, found.units, found.freedom) == (50, 9, freedom)


def test_each_side_of_a_lopsided_interval_keeps_its_own_width() -> None:
    lopsided = Estimate(value=0.3, low=0.2, high=0.6, rows=9).at(0.8, made_at=0.95)
    share = stats.norm.ppf(0.9) / stats.norm.ppf(0.975)
    assert (lopsided.low, lopsided.high) == pytest.approx((0.3 - 0.1 * share, 0.3 + 0.3 * share))


def test_students_quantile_is_wider_than_the_normal_one_and_comes_to_it() -> None:
    assert quantile(0.95) == pytest.approx(1.959964)
    assert quantile(0.95, 1) == pytest.approx(12.7062)
    assert quantile(0.95, 10**7) == pytest.approx(quantile(0.95))
    assert quantile(0.95, 0) == math.inf


def test_an_estimate_may_be_turned_round_and_told_from_another_start() -> None:
    found = Estimate(value=0.75, low=0.5, high=1.25, rows=9, units=3, freedom=2)
    assert -found == Estimate(value=-0.75, low=-1.25, high=-0.5, rows=9, units=3, freedom=2)
    assert found.less(0.5) == Estimate(value=0.25, low=0.0, high=0.75, rows=9, units=3, freedom=2)


@pytest.mark.parametrize(
    ("rows", "units", "told"),
    [(9_211, None, "9,211 rows"), (9_211, 21, "9,211 rows of 21 blocks of time"), (40, 1, "40 rows of 1 block of time")],
)
def test_what_an_estimate_was_measured_on_is_told(rows: int, units: int | None, told: str) -> None:
    assert Estimate(value=0, low=0, high=0, rows=rows, units=units).on == told
