import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from everloop.decide.statistics.intervals import mean, mean_sequence, newcombe, rate_sequence, split_evidence, wilson


@given(st.integers(1, 500), st.data())
def test_wilson_equals_scipy(trials, data):
    successes = data.draw(st.integers(0, trials))
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.integers(1, 500), st.floats(0.5, 0.9999))
def test_a_rate_of_none_or_of_all_stays_possible_when_none_or_all_were_seen(trials, confidence):
    assert wilson(0, trials, confidence).low == 0.0
    assert wilson(trials, trials, confidence).high == 1.0


def test_newcombe_reproduces_published_intervals():
    # Newcombe (1998), table II, method 10: contrasts (a) and (f).
    assert newcombe((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert newcombe((10, 10), (0, 20)) == pytest.approx((0.6791, 1.0), abs=5e-5)


def test_a_mean_of_one_row_is_unbounded():
    assert mean(3.0, 0.0, 1) == (-math.inf, math.inf)
    assert mean(0.0, 1.0, 100) == pytest.approx((-0.19600, 0.19600), abs=1e-5)


def test_nothing_is_known_of_a_rate_without_trials():
    assert wilson(0, 0) == rate_sequence(0, 0, 0.05) == (0, 1)
    assert newcombe((0, 0), (1, 2)) == (-1, 1)


def test_rate_sequence_ends_where_the_mixture_martingale_reaches_its_bound():
    low, high = rate_sequence(3, 40, 0.05)
    for p in (low, high):
        mixture = math.exp(math.lgamma(4) + math.lgamma(38) - math.lgamma(42))
        assert mixture / (p**3 * (1 - p) ** 37) == pytest.approx(20, rel=1e-4)


@given(st.integers(1, 300), st.data())
def test_more_successes_never_lower_a_rate_sequence(trials, data):
    successes = data.draw(st.integers(0, trials - 1))
    fewer, more = rate_sequence(successes, trials, 0.01), rate_sequence(successes + 1, trials, 0.01)
    assert fewer.low <= more.low + 1e-8
    assert fewer.high <= more.high + 1e-8


@given(st.integers(1, 2), st.sampled_from([10**5, 10**6, 10**7, 10**9]), st.sampled_from([0.05, 0.0014, 1e-4]))
def test_one_event_in_ever_so_many_rows_has_a_sequence_too(events, trials, alpha):
    low, high = rate_sequence(events, trials, alpha)
    assert 0 <= low < events / trials < high < 60 / trials
    assert rate_sequence(trials - events, trials, alpha) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_rate_sequence_covers_at_every_look():
    draws = np.random.default_rng(1).random((300, 400)) < 0.03
    missed = sum(
        any(not (r := rate_sequence(int(run[:n].sum()), n, 0.1)).low <= 0.03 <= r.high for n in range(20, 401, 20))
        for run in draws
    )
    assert missed / 300 < 0.1


def test_mean_sequence_covers_at_every_look_where_a_fixed_interval_does_not():
    draws = np.random.default_rng(2).choice([-3.0, 0.0, 1.0], p=[0.05, 0.8, 0.15], size=(400, 3000))
    looks = range(200, 3001, 100)
    sequential = fixed = 0
    for run in draws:
        spans = [(run[:n].mean(), run[:n].var(ddof=1), n) for n in looks]
        sequential += any(not (r := mean_sequence(m, v, n, 0.1, 1000)).low <= 0 <= r.high for m, v, n in spans)
        fixed += any(not (r := mean(m, v, n, 0.9)).low <= 0 <= r.high for m, v, n in spans)
    assert sequential / 400 < 0.1 < 0.25 < fixed / 400


def test_mean_sequence_equals_confseq():
    # `normal_mixture_bound(v=100, alpha=0.05, v_opt=100, alpha_opt=0.05, is_one_sided=False)` of confseq's own unit tests.
    assert 100 * mean_sequence(0, 1, 100, 0.05, 100).high == pytest.approx(30.35209, abs=1e-5)


def test_mean_sequence_is_narrowest_in_boundary_terms_where_it_was_tuned():
    # Width over the fixed-time width is least at the tuned count.
    def ratio(count):
        return mean_sequence(0, 1, count, 0.05, 1000).high * math.sqrt(count)

    assert ratio(1000) < ratio(100)
    assert ratio(1000) < ratio(10_000)
    assert ratio(1000) == pytest.approx(min(ratio(n) for n in range(200, 5000, 50)), rel=1e-3)


def test_split_evidence_is_rarely_large_under_the_right_share_and_soon_large_under_a_wrong_one():
    rng = np.random.default_rng(3)
    arms = rng.random((500, 600)) < 0.25
    alarms = sum(
        any(split_evidence((int(a[:n].sum()), n - int(a[:n].sum())), 0.25) > 20 for n in range(10, 601, 10)) for a in arms
    )
    assert alarms / 500 < 0.05
    assert split_evidence((90, 510), 0.25) > 1000


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_newcombe_is_method_ten_at_any_confidence(first, second, data):
    a, b, level = data.draw(st.integers(0, first)), data.draw(st.integers(0, second)), data.draw(st.sampled_from([0.8, 0.95]))
    p, q = a / first, b / second
    one = binomtest(a, first).proportion_ci(confidence_level=level, method="wilson")
    other = binomtest(b, second).proportion_ci(confidence_level=level, method="wilson")
    low = p - q - math.sqrt((p - one.low) ** 2 + (other.high - q) ** 2)
    high = p - q + math.sqrt((one.high - p) ** 2 + (q - other.low) ** 2)
    assert newcombe((a, first), (b, second), level) == pytest.approx((low, high), abs=1e-9)
    if level == 0.95:
        assert newcombe((a, first), (b, second)) == newcombe((a, first), (b, second), 0.95)


def test_without_trials_on_either_side_a_difference_is_open():
    assert newcombe((1, 2), (0, 0)) == newcombe((0, 0), (0, 0)) == newcombe((0, -1), (1, 2)) == (-1, 1)
    assert wilson(0, -1) == rate_sequence(0, -1, 0.05) == (0, 1)
    assert newcombe((0, 1), (1, 1)).low == -1


def test_a_mean_of_two_rows_has_an_interval_at_the_confidence_that_is_asked():
    half = norm.ppf(0.95) * math.sqrt(3 / 2)
    assert mean(1.0, 3.0, 2, 0.9) == pytest.approx((1 - half, 1 + half))
    assert mean(1.0, 3.0, 1.9) == mean_sequence(1.0, 3.0, 1, 0.05, 100) == (-math.inf, math.inf)


@pytest.mark.parametrize(("count", "tightest_at"), [(2, 100), (500, 1000), (5000, 1000), (50, 0)])
def test_mean_sequence_is_the_papers_formula(count, tightest_at):
    # Theorem 2.2 with the closed form for rho that the paper recommends: rho^2 = (-2 log a + log(-2 log a + 1)) / t.
    alpha, variance = 0.05, 2.5
    rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / max(2, tightest_at)
    inside = 2 * (count * rho2 + 1) / (count**2 * rho2) * math.log(math.sqrt(count * rho2 + 1) / alpha)
    half = math.sqrt(variance * inside)
    assert mean_sequence(0.3, variance, count, alpha, tightest_at) == pytest.approx((0.3 - half, 0.3 + half), rel=1e-12)


def test_split_evidence_is_the_product_of_what_the_mixture_foretold_of_each_unit():
    a, b = 2.5, 7.5
    foretold = a / (a + b) * (a + 1) / (a + b + 1) * (a + 2) / (a + b + 2) * b / (a + b + 3)
    assert split_evidence((3, 1), 0.25) == pytest.approx(foretold / (0.25**3 * 0.75))
    assert split_evidence((0, 0), 0.25) == pytest.approx(1)
    assert split_evidence((5000, 0), 0.01) == pytest.approx(1e12, rel=1e-13)


def test_a_rate_without_a_failure_or_a_success_is_bounded_on_one_side_alone():
    low, high = rate_sequence(0, 50, 0.05)
    assert (low, rate_sequence(50, 50, 0.05).high) == (0.0, 1.0)
    assert 1 / 51 / (1 - high) ** 50 == pytest.approx(20, rel=1e-5)
    assert rate_sequence(1, 1, 0.05).low == pytest.approx(0.025)


@given(st.integers(1, 2_000), st.sampled_from([0.8, 0.95, 0.99]))
def test_a_rates_interval_keeps_within_zero_and_one(trials, confidence):
    assert 0 <= wilson(0, trials, confidence).low < 1e-15
    assert 1 - 1e-15 < wilson(trials, trials, confidence).high <= 1


def test_a_rate_sequence_is_found_to_nine_digits():
    # The lower end of 2 successes in 2 trials solves B(3, 1) / p^2 = 1 / alpha.
    assert rate_sequence(2, 2, 0.03).low == pytest.approx(0.1, rel=1e-9)
    assert rate_sequence(0, 2, 0.03).high == pytest.approx(0.9, rel=1e-9)
