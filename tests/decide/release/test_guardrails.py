from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import chisquare

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release import guardrails
from everloop.decide.release.evidence import LATENCY_EDGES, Arm, Assigned, ExpectedCosts, LoadCheck, PairedCosts, ScorePairs
from everloop.decide.statistics.distance import jensen_shannon
from everloop.decide.verdict import Outcome

POLICY = RolloutPolicy(minimum_requests=100, shadow_requests=200, minimum_labels=200)
RANK = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL]


def timed(*milliseconds, errors=0):
    buckets = np.bincount(np.searchsorted(LATENCY_EDGES, milliseconds), minlength=len(LATENCY_EDGES) + 1)
    return Arm(requests=len(milliseconds), errors=errors, latency=tuple(buckets.tolist()))


@pytest.mark.parametrize(
    ("check", "outcome"),
    [
        (None, Outcome.INCONCLUSIVE),
        (LoadCheck(), Outcome.INCONCLUSIVE),
        (LoadCheck(unreachable="connection refused"), Outcome.ERROR),
        (LoadCheck(refused="file model.ubj is missing"), Outcome.FAIL),
        (LoadCheck.of([0.1, None]), Outcome.FAIL),
        (LoadCheck.of([0.1, 1.2]), Outcome.FAIL),
        (LoadCheck.of([0.1, 0.9], 3.0), Outcome.PASS),
        (LoadCheck.of([0.1, 0.9], POLICY.check_latency_ms + 1), Outcome.FAIL),
    ],
)
def test_load_check_tells_a_bad_release_from_an_unreachable_scorer(check, outcome):
    assert guardrails.load_check(check, POLICY).outcome is outcome


def test_errors_of_every_request_fail_long_before_the_minimum():
    reason = guardrails.error_rate(Arm(requests=6, errors=6), Arm(requests=300), POLICY, 0.003)
    assert reason.outcome is Outcome.FAIL
    assert "100.00% of 6" in reason.text


def test_few_errors_in_few_requests_are_inconclusive():
    assert guardrails.error_rate(Arm(requests=50), Arm(requests=900), POLICY, 0.01).outcome is Outcome.INCONCLUSIVE
    assert guardrails.error_rate(Arm(requests=110, errors=3), Arm(requests=900), POLICY, 0.01).outcome is Outcome.INCONCLUSIVE


def test_no_request_is_no_pass_even_with_a_minimum_of_zero():
    free = RolloutPolicy(minimum_requests=0, shadow_requests=0)
    assert guardrails.error_rate(Arm(), Arm(), free, 0.01).outcome is Outcome.INCONCLUSIVE
    assert guardrails.latency(Arm(), Arm(), free, 0.01).outcome is Outcome.INCONCLUSIVE
    assert guardrails.shadow_errors(ScorePairs(), free, 0.01).outcome is Outcome.INCONCLUSIVE
    assert guardrails.score_shift(ScorePairs(), free).outcome is Outcome.INCONCLUSIVE


@given(st.integers(1, 300), st.integers(0, 300), st.integers(0, 20), st.data())
def test_more_errors_never_improve_the_outcome(requests, others, other_errors, data):
    errors = data.draw(st.integers(0, requests - 1))
    baseline = Arm(requests=others + other_errors, errors=other_errors)
    outcomes = [
        guardrails.error_rate(Arm(requests=requests, errors=e), baseline, POLICY, 0.01).outcome for e in (errors, errors + 1)
    ]
    assert RANK.index(outcomes[0]) <= RANK.index(outcomes[1])


def test_latency_quantile_is_right_to_a_bucket():
    values = np.random.default_rng(0).lognormal(1.5, 0.5, 2000)
    assert timed(*values).quantile(0.99) == pytest.approx(np.quantile(values, 0.99), rel=0.06)


def test_latency_fails_when_many_requests_are_slower_than_the_limit():
    fast, slow = timed(*[5.0] * 3000), timed(*[5.0] * 250, *[80.0] * 50)
    assert guardrails.latency(slow, fast, POLICY, 0.003).outcome is Outcome.FAIL
    assert guardrails.latency(fast, fast, POLICY, 0.003).outcome is Outcome.PASS


def test_latency_is_not_sure_of_a_few_requests():
    slow = timed(*[5.0] * 196, *[80.0] * 4)
    assert guardrails.latency(slow, timed(*[5.0] * 3000), POLICY, 0.003).outcome is Outcome.INCONCLUSIVE


def test_latency_under_the_floor_passes_whatever_the_factor():
    assert guardrails.latency(timed(*[15.0] * 200), timed(*[1.0] * 200), POLICY, 0.003).outcome is Outcome.PASS


@given(st.lists(st.integers(0, 60), min_size=4, max_size=8), st.data())
def test_jensen_shannon_equals_scipy(first, data):
    second = data.draw(st.lists(st.integers(0, 60), min_size=len(first), max_size=len(first)))
    if sum(first) and sum(second):
        assert jensen_shannon(tuple(first), tuple(second)) == pytest.approx(jensenshannon(first, second, base=2), abs=1e-7)


def test_score_shift_judges_only_with_enough_rows():
    rng = np.random.default_rng(0)
    same, flat = rng.beta(2, 5, 400), np.full(400, 0.28)
    assert guardrails.score_shift(ScorePairs.of(same, same), POLICY).outcome is Outcome.PASS
    assert guardrails.score_shift(ScorePairs.of(flat, same), POLICY).outcome is Outcome.FAIL
    assert guardrails.score_shift(ScorePairs.of(same[:30], same[:30]), POLICY).outcome is Outcome.INCONCLUSIVE
    assert guardrails.score_shift(ScorePairs.of(flat[:20], same[:20]), POLICY).outcome is Outcome.INCONCLUSIVE


def test_cost_compares_pairs_and_needs_labels():
    rng = np.random.default_rng(0)
    good = rng.choice([0.0, 1.0, 3.0], p=[0.7, 0.2, 0.1], size=3000)
    worse = np.where(rng.random(3000) < 0.1, 3.0, good)
    few = PairedCosts.of(worse[:150], good[:150])
    assert guardrails.labelled_cost(few, POLICY, 0.01, 1000).outcome is Outcome.INCONCLUSIVE
    assert guardrails.labelled_cost(PairedCosts.of(worse, good), POLICY, 0.01, 1000).outcome is Outcome.FAIL
    assert guardrails.labelled_cost(PairedCosts.of(good, good), POLICY, 0.01, 1000).outcome is Outcome.PASS
    assert guardrails.labelled_cost(PairedCosts.of(good, good), POLICY, 0.01, 9000).outcome is Outcome.INCONCLUSIVE


def test_the_excess_cost_is_that_of_its_rows_and_lies_in_its_interval():
    rng = np.random.default_rng(4)
    new, old = rng.choice([0.0, 1.0, 3.0], size=(2, 500))
    numbers = guardrails.labelled_cost(PairedCosts.of(new, old), POLICY, 0.05, 400).numbers
    assert numbers["excess"] == pytest.approx((new - 1.02 * old).mean())
    assert numbers["low"] < numbers["excess"] < numbers["high"]


def test_a_certain_small_loss_is_shown_before_the_margin_would_allow_it():
    worse, good = np.ones(2000), np.repeat([1.0, 0.0], [1900, 100])
    assert guardrails.labelled_cost(PairedCosts.of(worse, good, 3.0), POLICY, 0.01, 4000).outcome is Outcome.FAIL
    strict = guardrails.labelled_cost(PairedCosts.of(worse, good, 3.0), replace(POLICY, cost_margin=0.06), 0.01, 4000)
    assert strict.outcome is Outcome.INCONCLUSIVE


def test_missing_features_fail_beyond_the_margin():
    full, half = Arm(requests=2000), Arm(requests=600, incomplete=300)
    assert guardrails.missing_features(half, full, POLICY, 0.01).outcome is Outcome.FAIL
    assert guardrails.missing_features(Arm(requests=600, incomplete=12), full, POLICY, 0.01).outcome is Outcome.PASS
    assert guardrails.missing_features(Arm(requests=60), full, POLICY, 0.01).outcome is Outcome.INCONCLUSIVE


def test_the_estimated_cost_is_told_and_judged_only_by_a_margin():
    rng = np.random.default_rng(5)
    old = rng.random(3000)
    found = ExpectedCosts.of(old + 0.2, old)
    assert guardrails.estimated_cost(found, POLICY, 0.01).outcome is Outcome.INCONCLUSIVE
    judging = replace(POLICY, estimated_cost_margin=0.1)
    assert guardrails.estimated_cost(found, judging, 0.01).outcome is Outcome.FAIL
    assert guardrails.estimated_cost(ExpectedCosts.of(old, old), judging, 0.01).outcome is Outcome.PASS
    assert guardrails.estimated_cost(ExpectedCosts(), judging, 0.01).outcome is Outcome.INCONCLUSIVE


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


def test_sample_ratio_uses_chi_squared_and_says_nothing_of_few_entities():
    right = guardrails.sample_ratio(Assigned(candidate=52, baseline=948), 0.05, 0.001)
    assert right.outcome is Outcome.PASS
    assert right.numbers["p"] == pytest.approx(chisquare([52, 948], [50, 950]).pvalue)
    assert guardrails.sample_ratio(Assigned(candidate=150, baseline=850), 0.05, 0.001).outcome is Outcome.FAIL
    assert guardrails.sample_ratio(Assigned(candidate=0, baseline=900), 0.05, 0.001).outcome is Outcome.FAIL
    assert guardrails.sample_ratio(Assigned(candidate=9, baseline=3), 0.05, 0.001).outcome is Outcome.INCONCLUSIVE
