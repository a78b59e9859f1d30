import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binom

from everloop.decide.statistics.bursts import _ranks, burst_quantile, burst_rate
from everloop.decide.statistics.intervals import wilson

LINE = np.arange(1.0, 1_001.0)


def alone(values):
    """Each row its own unit."""
    return np.arange(len(values))


@settings(max_examples=60)
@given(st.integers(1, 20_000), st.floats(0.05, 0.995), st.floats(0.005, 0.2))
def test_ranks_miss_the_quantile_no_more_often_than_asked_and_hardly_less(rows, share, tail):
    low, high = _ranks(rows, share, tail)
    assert binom.cdf(low - 1, rows, share) <= tail + 1e-9
    assert binom.sf(high - 1, rows, share) <= tail + 1e-9
    assert binom.cdf(low, rows, share) > tail - 1e-9
    assert binom.sf(high - 2, rows, share) > tail - 1e-9


def test_the_quantile_lies_between_the_order_statistics_of_its_ranks():
    found = burst_quantile(LINE, alone(LINE), 0.99, 0.95)
    # 983 and 997 of 1,000 by the binomial distribution.
    assert (found.value, found.low, found.high) == (990.0, 983.0, 997.0)
    assert (found.rows, found.units, found.freedom) == (1_000, 1_000, 999)


def test_the_order_of_the_rows_does_not_matter():
    order = np.random.default_rng(1).permutation(1_000)
    assert burst_quantile(LINE[order], alone(LINE), 0.99, 0.95) == burst_quantile(LINE, alone(LINE), 0.99, 0.95)


@pytest.mark.parametrize(("rows", "known"), [(360, False), (375, True)])
def test_too_few_rows_have_no_upper_end_of_their_p99(rows, known):
    found = burst_quantile(LINE[:rows], alone(LINE[:rows]), 0.99, 0.95)
    assert math.isfinite(found.high) == known
    assert found.high == (rows if known else math.inf)
    assert found.low > 0


def test_too_few_rows_have_no_lower_end_of_a_low_quantile():
    assert burst_quantile(LINE[:9], alone(LINE[:9]), 0.05, 0.95).low == -math.inf


def test_slow_answers_of_one_burst_count_for_one():
    slow = np.where(LINE > 960, 900.0, 10.0)
    burst = np.where(LINE > 960, 0, alone(LINE) + 1)
    spread = burst_quantile(slow, alone(LINE), 0.99, 0.95)
    together = burst_quantile(slow, burst, 0.99, 0.95)
    assert (spread.low, spread.value) == (900.0, 900.0)
    assert together.units == 961
    slower = slow + np.where(LINE > 985, 500.0, 0.0)
    assert burst_quantile(slower, burst, 0.99, 0.95).low == 10.0
    assert burst_quantile(slower, alone(LINE), 0.99, 0.95).low == 900.0


def test_one_unit_tells_nothing():
    found = burst_quantile(LINE, np.zeros(1_000, dtype=int), 0.99, 0.95)
    assert (found.low, found.value, found.high, found.units) == (-math.inf, 990.0, math.inf, 1)


def test_independent_rows_have_wilsons_interval():
    hits = LINE > 980
    found, (low, high) = burst_rate(hits, alone(LINE), 0.95), wilson(20, 1_000)
    assert (found.value, found.rows, found.units) == (0.02, 1_000, 1_000)
    assert (found.low, found.high) == pytest.approx((low, high), rel=2e-3)


def test_errors_of_one_burst_count_for_one_and_of_small_bursts_for_few():
    hits = LINE > 980
    once = burst_rate(hits, np.where(hits, 0, alone(LINE) + 1), 0.95)
    assert (once.low < 0.005, once.high > 0.1) == (True, True)
    twos = burst_rate(hits, alone(LINE) // 2, 0.95)
    assert twos.low < burst_rate(hits, alone(LINE), 0.95).low < 0.02 < twos.high


def test_where_nothing_failed_nothing_is_seen_to_come_in_bursts():
    none, every = (burst_rate(np.full(1_000, hit), alone(LINE) // 50, 0.95) for hit in (False, True))
    assert (none.value, none.low, every.value, every.high) == (0.0, 0.0, 1.0, 1.0)
    assert none.high == pytest.approx(3.84 / 1_000, rel=0.2)
    assert every.low == pytest.approx(1 - none.high)


def test_one_unit_says_nothing_of_a_rate():
    found = burst_rate(LINE > 500, np.zeros(1_000, dtype=int), 0.95)
    assert (found.low, found.high, found.units) == (0.0, 1.0, 1)


def test_a_rate_of_rows_in_bursts_is_held_as_often_as_said():
    """A minute in twenty fails half of its answers, and such a minute is asked four times as much."""
    rng, held, naive = np.random.default_rng(5), [], []
    truth = 0.05 * 80 * 0.5 / (0.05 * 80 + 0.95 * 20)
    for _ in range(400):
        bad = rng.random(300) < 0.05
        minute = np.repeat(np.arange(300), np.where(bad, 80, 20))
        failed = rng.random(len(minute)) < np.where(bad[minute], 0.5, 0.0)
        found, plain = burst_rate(failed, minute, 0.95), wilson(int(failed.sum()), len(failed))
        held.append(found.low <= truth <= found.high)
        naive.append(plain.low <= truth <= plain.high)
    assert np.mean(held) > 0.9
    assert np.mean(naive) < 0.6


@pytest.mark.parametrize("bursts", [False, True])
def test_the_interval_holds_the_quantile_as_often_as_said(bursts):
    """Minutes of 20 answers; in one of 20 bursts every answer is slow."""
    rng, held = np.random.default_rng(int(bursts)), []
    truth = brentq(lambda t: 0.05 * np.exp(-t / 5) + 0.95 * np.exp(-t) - 0.01, 0, 50) if bursts else -np.log(0.01)
    for _ in range(300):
        minute = np.repeat(np.arange(150), 20)
        slow = rng.random(150) < (0.05 if bursts else 0)
        found = burst_quantile(rng.exponential(np.where(slow[minute], 5.0, 1.0)), minute, 0.99, 0.95)
        held.append(found.low <= truth <= found.high)
    assert np.mean(held) > 0.915
