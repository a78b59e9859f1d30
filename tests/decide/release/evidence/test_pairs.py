from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.release.evidence import LATENCY_EDGES, Arm, DecisionPairs, ExpectedCosts, PairedCosts
from everloop.decide.release.evidence.units import UnitCosts, design_effect
from everloop.decide.statistics.clusters import Clusters


def timed(*milliseconds, errors=0):
    buckets = np.bincount(np.searchsorted(LATENCY_EDGES, milliseconds), minlength=len(LATENCY_EDGES) + 1)
    return Arm(requests=len(milliseconds), errors=errors, latency=tuple(buckets.tolist()))


def decided(new, old):
    """Rows of an entity each, decided differently where they cost something else, and not scored where they cost 3."""
    rows = len(new)
    return DecisionPairs(
        different=Clusters.independent(rows, int((new != old).sum())),
        disordered=Clusters.independent(rows, int((new > old).sum())),
        unscored=Clusters.independent(rows, int((new == 3).sum())),
    )


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 3.0]), st.sampled_from([0.0, 1.0, 3.0])), max_size=30), st.integers(0, 30))
def test_evidence_of_batches_adds_up_to_that_of_all_rows(rows, cut):
    new, old = np.array(rows, dtype=float).reshape(-1, 2).T
    parts = [(new[:cut], old[:cut]), (new[cut:], old[cut:])]
    for order in (parts, parts[::-1]):
        pairs = [PairedCosts.of(*part, largest=3.0) for part in order]
        assert pairs[0] + pairs[1] == PairedCosts.of(new, old, largest=3.0)
        expected = [ExpectedCosts.of(*part) for part in order]
        assert astuple(expected[0] + expected[1])[:6] == pytest.approx(astuple(ExpectedCosts.of(new, old))[:6])
        decisions = [decided(*part) for part in order]
        assert decisions[0] + decisions[1] == decided(new, old)
        timings = [timed(*part[0] * 10 + 1) for part in order]
        assert timings[0] + timings[1] == timed(*new * 10 + 1)


def test_decisions_count_the_rows_that_both_scored_and_those_that_were_offered():
    pairs = DecisionPairs(different=Clusters.of([2, 1, 1], [1, 0, 1]), unscored=Clusters.of([3, 2], [0, 1]))
    assert (pairs.count, pairs.offered) == (4, 5)
    assert (DecisionPairs().count, DecisionPairs().offered) == (0, 0)
    whole = pairs + DecisionPairs(different=Clusters.independent(9, 2), unscored=Clusters.independent(7, 3))
    assert (whole.count, whole.different.hits, whole.offered, whole.unscored.hits) == (13, 4, 12, 4)


def test_batches_of_other_units_add_up_to_the_units_of_all():
    rng = np.random.default_rng(3)
    new, old = rng.choice([0.0, 1.0, 3.0], size=(2, 60))
    user, day = np.repeat(np.arange(20), 3), np.repeat(np.arange(6), 10)
    parts = [slice(0, 30), slice(30, 60)]
    for order in (parts, parts[::-1]):
        for kind, atol in ((PairedCosts, 0), (ExpectedCosts, 1e-12)):
            first, second = (kind.of(new[part], old[part], entities=user[part], blocks=day[part]) for part in order)
            both, whole = first + second, kind.of(new, old, entities=user, blocks=day)
            for name in ("entities", "blocks"):
                assert getattr(both, name).units == getattr(whole, name).units
                assert getattr(both, name).products == pytest.approx(getattr(whole, name).products, abs=atol)
    by_user, by_day = UnitCosts.of(user, new, old), UnitCosts.of(day, new, old)
    for kind in (PairedCosts, ExpectedCosts):
        found = [kind.of(new, old, entities=user), kind.of(new, old, blocks=day)]
        assert [(one.entities, one.blocks) for one in found] == [(by_user, UnitCosts()), (UnitCosts(), by_day)]
    assert ExpectedCosts.of(new[:1], old[:1], entities=user[:1], blocks=day[:1]).blocks.units == 1


def test_a_design_effect_is_that_of_the_rows_and_their_units():
    rng = np.random.default_rng(5)
    day, user = np.repeat(np.arange(8), 25), rng.integers(0, 50, 200)
    new, old = rng.choice([0.0, 1.0, 3.0], size=(2, 200)) * np.where(day % 2, 1.0, 0.0)
    excess, units = new - 1.1 * old, {"entities": user, "blocks": day}
    scatter = ((excess - excess.mean()) ** 2).sum()
    sums = UnitCosts.of(user, new, old), UnitCosts.of(day, new, old)
    expected = design_effect(*sums, 200, scatter, excess.mean(), 1.1, 0.01)
    assert expected > 1
    assert PairedCosts.of(new, old, **units).design_effect(1.1, 0.01) == pytest.approx(expected)
    assert ExpectedCosts.of(new, old, **units).design_effect(1.1, 0.01) == pytest.approx(expected)
    assert PairedCosts.of(new, old).design_effect(1.1, 0.01) == ExpectedCosts.of(new, old).design_effect(1.1, 0.01) == 1
    assert PairedCosts().design_effect(1.1, 0.01) == ExpectedCosts().design_effect(1.1, 0.01) == 1


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
    assert astuple(found)[:6] == pytest.approx((50, new.mean(), old.mean(), moments[0, 0], moments[1, 1], moments[0, 1]))
    excess = new - 1.2 * old
    assert found.excess(1.2) == pytest.approx((excess.mean(), excess.var(ddof=1)))
    assert ExpectedCosts.of(new[:1], old[:1]) == ExpectedCosts(count=1, candidate=new[0], baseline=old[0])
    assert ExpectedCosts.of(new[:0], old[:0]) == ExpectedCosts()
    assert ExpectedCosts.of(np.array([0.1, 0.2, 0.7]), np.array([0.1, 0.2, 0.7])).excess(1.0)[1] == 0.0


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


def test_the_highest_cost_is_the_one_that_is_given_or_else_seen():
    assert PairedCosts.of(np.ones(2), np.zeros(2), 3.0).largest == 3.0
    assert PairedCosts.of(np.zeros(2), np.array([0.0, 2.0])).largest == 2.0
