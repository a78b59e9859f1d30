from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.release.evidence import LATENCY_EDGES, Arm, ExpectedCosts, PairedCosts, ScorePairs


def timed(*milliseconds, errors=0):
    buckets = np.bincount(np.searchsorted(LATENCY_EDGES, milliseconds), minlength=len(LATENCY_EDGES) + 1)
    return Arm(requests=len(milliseconds), errors=errors, latency=tuple(buckets.tolist()))


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 3.0]), st.sampled_from([0.0, 1.0, 3.0])), max_size=30), st.integers(0, 30))
def test_evidence_of_batches_adds_up_to_that_of_all_rows(rows, cut):
    new, old = np.array(rows, dtype=float).reshape(-1, 2).T
    parts = [(new[:cut], old[:cut]), (new[cut:], old[cut:])]
    for order in (parts, parts[::-1]):
        pairs = [PairedCosts.of(*part, largest=3.0) for part in order]
        assert pairs[0] + pairs[1] == PairedCosts.of(new, old, largest=3.0)
        expected = [ExpectedCosts.of(*part) for part in order]
        assert astuple(expected[0] + expected[1]) == pytest.approx(astuple(ExpectedCosts.of(new, old)))
        scores = [ScorePairs.of(part[0] / 3, part[1] / 3, offered=len(part[0])) for part in order]
        assert scores[0] + scores[1] == ScorePairs.of(new / 3, old / 3, offered=len(new))
        timings = [timed(*part[0] * 10 + 1) for part in order]
        assert timings[0] + timings[1] == timed(*new * 10 + 1)


def test_scores_are_counted_in_twenty_bins_up_to_their_upper_ends():
    pairs = ScorePairs.of(np.array([0.0, 0.05, 0.051, 1.0]), np.full(4, 0.5), offered=5, unscored=1)
    assert pairs.candidate == (2, 1, *[0] * 17, 1)
    assert pairs.baseline[9] == 4
    assert (pairs.count, pairs.offered, pairs.unscored) == (4, 5, 1)
    assert ScorePairs().count == 0


def test_pairs_of_costs_are_counted_and_averaged():
    costs = PairedCosts.of(np.array([1.0, 1.0, 0.0]), np.array([0.0, 0.0, 3.0]))
    assert costs == PairedCosts(cells=((0.0, 3.0, 1), (1.0, 0.0, 2)), largest=3.0)
    assert (costs.count, costs.candidate, costs.baseline) == (3, pytest.approx(2 / 3), 1.0)
    values, counts = costs.excess(1.1)
    assert values.tolist() == pytest.approx([-3.3, 1.0])
    assert counts.tolist() == [1, 2]


def test_no_pair_of_costs_has_no_average():
    nothing = PairedCosts.of(np.empty(0), np.empty(0))
    assert (nothing.cells, nothing.count, nothing.largest) == ((), 0, 0.0)
    assert np.isnan([nothing.candidate, nothing.baseline]).all()
    assert [part.shape for part in nothing.excess(1.0)] == [(0,), (0,)]


def test_the_highest_cost_is_kept_when_batches_add_up():
    assert (PairedCosts(largest=3.0) + PairedCosts(largest=2.0)).largest == 3.0


def test_expected_costs_have_the_moments_of_their_rows():
    new, old = np.random.default_rng(2).random((2, 50))
    found = ExpectedCosts.of(new, old)
    moments = np.cov(new, old)
    assert astuple(found) == pytest.approx((50, new.mean(), old.mean(), moments[0, 0], moments[1, 1], moments[0, 1]))
    excess = new - 1.2 * old
    assert found.excess(1.2) == pytest.approx((excess.mean(), excess.var(ddof=1)))
    assert ExpectedCosts.of(new[:1], old[:1]) == ExpectedCosts(count=1, candidate=new[0], baseline=old[0])
    assert ExpectedCosts.of(new[:0], old[:0]) == ExpectedCosts()
    assert ExpectedCosts.of(np.array([0.1, 0.2, 0.7]), np.array([0.1, 0.2, 0.7])).excess(1.0)[1] == 0.0


def test_counts_of_other_bins_do_not_add_up():
    short = (1, 2)
    for other in (ScorePairs(candidate=short), ScorePairs(baseline=short)):
        with pytest.raises(ValueError, match="zip"):
            ScorePairs() + other


def test_costs_given_as_whole_numbers_are_numbers_like_others():
    values, counts = PairedCosts(cells=((1, 0, 400), (0, 3, 2))).excess(1)
    assert (values.tolist(), counts.tolist()) == ([1.0, -3.0], [400.0, 2.0])
    assert values.dtype == counts.dtype == np.float64


def test_costs_of_two_batches_keep_their_order_and_the_first_ones_highest():
    first = PairedCosts.of(np.array([3.0, 0.0]), np.array([0.0, 0.0]))
    second = PairedCosts.of(np.array([1.0, 3.0]), np.array([1.0, 0.0]))
    assert first + second == PairedCosts(cells=((0.0, 0.0, 1), (1.0, 1.0, 1), (3.0, 0.0, 2)), largest=3.0)
    assert (PairedCosts() + PairedCosts(largest=0.5)).largest == 1.0


def test_the_variance_of_an_excess_is_never_below_zero():
    twice = ExpectedCosts(count=9, candidate=0.2, baseline=0.1, candidate_variance=0.4, baseline_variance=0.1, covariance=0.21)
    assert twice.excess(2.0) == (0.0, 0.0)


def test_what_could_not_be_scored_adds_up_and_is_nothing_unless_said():
    two = np.full(2, 0.3)
    whole = ScorePairs.of(two, two, offered=5, unscored=2) + ScorePairs.of(two, two, offered=4, unscored=1)
    assert (whole.count, whole.offered, whole.unscored) == (4, 9, 3)
    assert (ScorePairs.of(two, two).offered, ScorePairs.of(two, two).unscored) == (0, 0)


def test_the_highest_cost_is_the_one_that_is_given_or_else_seen():
    assert PairedCosts.of(np.ones(2), np.zeros(2), 3.0).largest == 3.0
    assert PairedCosts.of(np.zeros(2), np.array([0.0, 2.0])).largest == 2.0
