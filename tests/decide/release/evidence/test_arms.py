from dataclasses import replace

import numpy as np
import pytest

from everloop.decide.release.evidence import LATENCY_EDGES, Arm, ByUnit, LoadCheck
from everloop.decide.statistics.clusters import Clusters
from everloop.decide.statistics.quantiles import quantile_sequence


def timed(*milliseconds, errors=0):
    buckets = np.bincount(np.searchsorted(LATENCY_EDGES, milliseconds), minlength=len(LATENCY_EDGES) + 1)
    return Arm(requests=len(milliseconds), errors=errors, latency=tuple(buckets.tolist()))


def units(number):
    """So many units of five rows: one row in error, two that miss a feature, three slow requests."""
    errors, missing, slow = (Clusters.of([5] * number, [hits] * number) for hits in (1, 2, 3))
    return ByUnit(errors=errors, missing=missing, slow=slow)


def test_latency_quantile_is_right_to_a_bucket():
    values = np.random.default_rng(0).lognormal(1.5, 0.5, 2000)
    assert timed(*values).quantile(0.99) == pytest.approx(np.quantile(values, 0.99), rel=0.06)


@pytest.mark.parametrize(
    ("scores", "unusable"), [([], 0), ([0.0, 1.0], 0), ([None, 0.5], 1), ([-0.1, 1.1, float("nan"), float("inf")], 4)]
)
def test_a_score_that_is_no_probability_is_unusable(scores, unusable):
    assert LoadCheck.of(scores, 3.0) == LoadCheck(rows=len(scores), unusable=unusable, latency_ms=3.0)


def test_arms_of_batches_add_up():
    first = replace(timed(1.0, 5.0), requests=9, errors=1, incomplete=2, shared_errors=3, by_entity=units(1), by_batch=units(2))
    second = replace(
        timed(5.0, 70_000.0), errors=3, incomplete=4, shared_errors=2, by_entity=units(10), by_batch=units(20)
    )  # fmt: skip
    whole = first + second
    assert (whole.requests, whole.errors, whole.incomplete, whole.timed, whole.shared_errors) == (11, 4, 6, 4, 5)
    assert (first.comparable, second.comparable, whole.comparable) == (6, 0, 6)
    assert (whole.by_entity, whole.by_batch) == (units(11), units(22))
    assert whole.latency == timed(1.0, 5.0, 5.0, 70_000.0).latency
    assert whole == second + first
    assert Arm() + first == first


def test_requests_of_buckets_above_a_limit_are_slower():
    edge = float(LATENCY_EDGES[100])
    arm = timed(edge, np.nextafter(edge, 0), np.nextafter(edge, np.inf), 2 * edge, 70_000.0)
    assert arm.slower(edge) == 3
    # The bucket that holds the limit may lie on either side of it.
    assert arm.slower(np.nextafter(edge, np.inf)) == 2
    assert arm.slower(np.nextafter(edge, 0)) == 3
    assert (arm.slower(0.0), arm.slower(float(LATENCY_EDGES[-1])), arm.slower(np.inf)) == (5, 1, 0)


def test_the_latency_sequence_is_that_of_its_histogram():
    arm = timed(*np.linspace(1, 50, 400))
    assert arm.quantile_sequence(0.9, 0.05) == quantile_sequence(arm.latency, LATENCY_EDGES, 0.9, 0.05)
    assert arm.quantile(0.5) == pytest.approx(25.5, rel=0.06)
    assert np.isnan(Arm().quantile(0.5))


@pytest.mark.parametrize("effect", [1.0, 2.5])
def test_requests_that_belong_together_are_worth_fewer(effect):
    arm = timed(*np.linspace(1, 50, 400))
    fewer = [count / effect for count in arm.latency]
    assert arm.quantile_sequence(0.9, 0.05, effect) == quantile_sequence(fewer, LATENCY_EDGES, 0.9, 0.05)
    assert arm.quantile_sequence(0.9, 0.05, 10.0).low < arm.quantile_sequence(0.9, 0.05).low


def test_latencies_of_other_buckets_do_not_add_up():
    with pytest.raises(ValueError, match="zip"):
        Arm() + Arm(latency=(1, 2))


def test_a_load_check_may_know_no_latency():
    assert LoadCheck.of([0.5, None]) == LoadCheck(rows=2, unusable=1)
