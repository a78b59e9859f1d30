from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.statistics.intervals import rate_sequence
from everloop.decide.statistics.quantiles import quantile, quantile_sequence

EDGES = np.array([1.0, 2.0, 4.0, 8.0, 16.0])

counted = st.lists(st.integers(0, 300), min_size=6, max_size=6)


def test_a_quantile_is_the_upper_end_of_its_bucket():
    assert quantile([10, 80, 9, 1, 0, 0], EDGES, 0.5) == 2
    assert quantile([10, 80, 9, 1, 0, 0], EDGES, 0.99) == 4
    assert quantile([0, 0, 0, 0, 0, 3], EDGES, 0.5) == math.inf
    assert math.isnan(quantile([0] * 6, EDGES, 0.5))


def test_nothing_is_known_without_rows():
    assert quantile_sequence([0] * 6, EDGES, 0.99, 0.05) == (-math.inf, math.inf)


@given(counted, st.sampled_from([0.5, 0.9, 0.99]), st.sampled_from([0.01, 0.05]))
def test_the_ends_are_where_a_rate_sequence_parts_from_the_share(counts, share, alpha):
    low, high = quantile_sequence(counts, EDGES, share, alpha)
    below = np.cumsum(counts)[:-1]
    rates = [rate_sequence(int(n), sum(counts), alpha) for n in below]
    assert low == max((edge for edge, rate in zip(EDGES, rates, strict=True) if rate.high < share - 1e-8), default=-math.inf)
    assert high == min((edge for edge, rate in zip(EDGES, rates, strict=True) if rate.low > share + 1e-8), default=math.inf)


@given(counted)
def test_the_interval_holds_the_estimate(counts):
    if sum(counts):
        low, high = quantile_sequence(counts, EDGES, 0.9, 0.05)
        assert low < quantile(counts, EDGES, 0.9) <= high


def test_a_quantile_is_covered_at_every_look():
    edges = np.geomspace(1, 100, 60)
    rng, truth, missed = np.random.default_rng(5), math.exp(1.2815515655446004 * 0.5 + 2), 0
    for _ in range(200):
        buckets = np.searchsorted(edges, rng.lognormal(2, 0.5, 1000))
        looks = (quantile_sequence(np.bincount(buckets[:n], minlength=61).tolist(), edges, 0.9, 0.1) for n in range(50, 1001, 50))
        missed += any(not low <= truth <= high for low, high in looks)
    assert missed / 200 < 0.1


def test_more_slow_rows_never_lower_it():
    fast, slow = [100, 50, 0, 0, 0, 0], [100, 30, 10, 10, 0, 0]
    assert quantile_sequence(slow, EDGES, 0.9, 0.05) >= quantile_sequence(fast, EDGES, 0.9, 0.05)
    assert quantile_sequence([1000, 300, 0, 0, 400, 0], EDGES, 0.9, 0.05).low == pytest.approx(8)


def test_a_share_that_falls_on_a_buckets_end_is_reached_there():
    assert quantile([10, 1, 0, 0, 0, 0], EDGES, 1.0) == 2
    assert quantile([10, 1, 0, 0, 0, 0], EDGES, 10 / 11) == 1
    assert quantile([7, 93, 0, 0, 0, 0], EDGES, 0.07) == 1  # 0.07 * 100 is 7.000000000000001
    assert quantile([1, 0, 0, 0, 0, 0], EDGES, 0.5) == 1


def test_one_row_already_refutes_what_lies_far_enough():
    # One row at or under 1 has the rate 1 there: (1 / 2) / 0.01 = 50 against a share of 0.01.
    assert quantile_sequence([1, 0, 0, 0, 0, 0], EDGES, 0.01, 0.021) == (-math.inf, 1.0)
    assert quantile_sequence([1, 0, 0, 0, 0, 0], EDGES, 0.01, 0.019) == (-math.inf, math.inf)
    assert quantile_sequence([0, 0, 0, 0, 0, 1], EDGES, 0.99, 0.021) == (16.0, math.inf)


def test_what_reaches_the_bound_is_refuted():
    # The martingale is exactly 1 after one row whose chance was one half, and 1 is the bound at alpha 1.
    assert quantile_sequence([1, 0, 0, 0, 0, 0], EDGES, 0.5, 1.0) == (-math.inf, 1.0)
