import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats.contingency import relative_risk

from everloop.decide.statistics.ratios import ratio


def test_reproduces_the_published_interval():
    # Perondi et al. (2004), 7 of 34 against 1 of 34, MOVER-R Wilson: Fagerland, Lydersen & Laake (2017), Statistical Analysis of
    # Contingency Tables, ch. 4, as their R package `contingencytables` prints it.
    assert ratio((7, 34), (1, 34)) == pytest.approx((1.1537, 41.9763), abs=5e-5)


def test_comes_to_the_logarithmic_interval_of_katz_with_many_rows():
    found = ratio((600_000, 2_000_000), (900_000, 2_500_000))
    katz = relative_risk(600_000, 2_000_000, 900_000, 2_500_000).confidence_interval(0.95)
    assert found == pytest.approx((katz.low, katz.high), abs=1e-6)


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_holds_the_ratio_and_turns_over_with_it(n, m, data):
    first, second = (data.draw(st.integers(1, n)), n), (data.draw(st.integers(1, m)), m)
    value, found = (first[0] / n) / (second[0] / m), ratio(first, second)
    assert found.low <= value * (1 + 1e-9)
    assert value <= found.high * (1 + 1e-9)
    assert found == pytest.approx((1 / ratio(second, first).high, 1 / ratio(second, first).low), rel=1e-6)


@given(st.integers(2, 300), st.integers(2, 300), st.data())
def test_fewer_successes_never_raise_it(n, m, data):
    hits, second = data.draw(st.integers(1, n)), (data.draw(st.integers(1, m)), m)
    more, fewer = ratio((hits, n), second), ratio((hits - 1, n), second)
    assert fewer.low <= more.low + 1e-9
    assert fewer.high <= more.high + 1e-9


def test_stands_when_the_first_has_no_success():
    found = ratio((0, 300), (150, 300))
    assert (found.low, found.high) == (0, pytest.approx(0.025, abs=0.003))
    # Rounding makes Wilson's lower limit of this one 1e-17, and that would give a ratio below 0.
    assert ratio((0, 6), (3, 6), 0.8).low == 0


def test_nothing_is_known_without_trials_or_successes_of_the_second():
    assert ratio((0, 0), (1, 2)) == ratio((1, 2), (0, 2)) == (0, math.inf)


def test_covers():
    rng = np.random.default_rng(3)
    first, second = rng.binomial(250, 0.24, 2_000), rng.binomial(400, 0.3, 2_000)
    spans = [ratio((a, 250), (b, 400)) for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    assert np.mean([span.low <= 0.8 <= span.high for span in spans]) == pytest.approx(0.95, abs=0.015)


def test_one_trial_each_is_enough() -> None:
    # Wilson's interval of 1 of 1 is [l, 1] with l = 1 / (1 + z^2).
    least = 1 / (1 + norm.ppf(0.975) ** 2)
    low = least * (2 - least) / (1 + (1 - least * (2 - least)) ** 0.5)
    assert ratio((1, 1), (1, 1)) == pytest.approx((low, 1 / low))


def test_is_wider_where_it_must_be_surer() -> None:
    katz = relative_risk(600_000, 2_000_000, 900_000, 2_500_000).confidence_interval(0.8)
    assert ratio((600_000, 2_000_000), (900_000, 2_500_000), 0.8) == pytest.approx((katz.low, katz.high), abs=1e-6)


def test_trials_without_a_sign_of_life_say_nothing_whichever_side_lacks_them() -> None:
    assert ratio((1, 2), (0, 0)) == ratio((0, 0), (0, 0)) == ratio((0, -1), (1, 2)) == ratio((1, 2), (-1, 2)) == (0, math.inf)
