"""What lies exactly at its limit has not passed it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from decide.release.guardrails.test_answers import POLICY, timed
from everloop.decide.release import guardrails
from everloop.decide.release.evidence import Arm, DecisionPairs, LoadCheck
from everloop.decide.statistics import excess
from everloop.decide.statistics.clusters import Clusters
from everloop.decide.verdict import Outcome, Reason

BUDGET = POLICY.check_latency_ms


@pytest.mark.parametrize(
    ("judge", "field", "margin"),
    [(guardrails.error_rate, "errors", "error_rate_margin"), (guardrails.missing_features, "incomplete", "missing_margin")],
)
def test_a_rate_fails_only_beyond_its_margin(judge, field, margin):
    bad = Arm(requests=100, **{field: 50})
    low = judge(bad, Arm(), POLICY, 0.01).numbers["low"]
    outcomes = [judge(bad, Arm(), replace(POLICY, **{margin: limit}), 0.01).outcome for limit in (low, low - 1e-9)]
    assert outcomes == [Outcome.INCONCLUSIVE, Outcome.FAIL]


def test_a_rate_fails_only_on_evidence_enough():
    ours, theirs = Arm(requests=100, errors=50), Arm(requests=100, errors=1)
    evidence = guardrails.error_rate(ours, theirs, POLICY, 0.01).numbers["log_evidence"]
    outcomes = [guardrails.error_rate(ours, theirs, POLICY, math.exp(-evidence) * f).outcome for f in (1 - 1e-9, 1 + 1e-9)]
    assert outcomes == [Outcome.INCONCLUSIVE, Outcome.FAIL]


def test_a_rate_passes_only_where_one_look_does_not_exceed_the_margin():
    ours, theirs = (5, 200), (2, 200)
    arms = Arm(requests=200, errors=5), Arm(requests=200, errors=2)
    for margin in np.linspace(0.0, 0.02, 41):
        passed = guardrails.error_rate(*arms, replace(POLICY, error_rate_margin=margin), 0.01).outcome is Outcome.PASS
        assert passed is not excess.exceeds(ours, theirs, margin, 0.2)


def test_shadow_errors_fail_only_beyond_their_margin():
    pairs, baseline = DecisionPairs(unscored=Clusters.independent(100, 50)), Arm(requests=400, errors=1)
    low = guardrails.shadow_errors(pairs, baseline, POLICY, 0.01).numbers["low"]
    outcomes = [
        guardrails.shadow_errors(pairs, baseline, replace(POLICY, error_rate_margin=limit), 0.01).outcome
        for limit in (low, low - 1e-9)
    ]
    assert outcomes == [Outcome.INCONCLUSIVE, Outcome.FAIL]


def test_a_latency_fails_only_beyond_its_limit_and_passes_up_to_it():
    arm = timed(*[50.0] * 3000)
    numbers = guardrails.latency(arm, Arm(), POLICY, 0.01).numbers
    assert numbers["low_ms"] < numbers["p99_ms"]
    below, at_low, at_p99 = (
        guardrails.latency(arm, Arm(), replace(POLICY, latency_floor_ms=limit), 0.01).outcome
        for limit in (numbers["low_ms"] - 1e-9, numbers["low_ms"], numbers["p99_ms"])
    )
    assert (below, at_low, at_p99) == (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)


def test_what_the_scorer_said_is_told_whole():
    def told(check, outcome, text, numbers=None):
        assert guardrails.load_check(check, POLICY) == Reason("rollout.check", outcome, text, numbers or {})

    told(None, Outcome.INCONCLUSIVE, "the scorer has not been asked to load the release yet")
    told(LoadCheck(refused="changed"), Outcome.FAIL, "the scorer does not serve the release: changed")
    told(LoadCheck(unreachable="away"), Outcome.ERROR, "the scorer could not be asked: away")
    bad, none = {"rows": 3, "unusable": 1, "latency_ms": 5.0}, {"rows": 0, "unusable": 0, "latency_ms": None}
    told(LoadCheck(rows=3, unusable=1, latency_ms=5.0), Outcome.FAIL, "1 of 3 scores were no probability", bad)
    told(LoadCheck(), Outcome.INCONCLUSIVE, "the release loads, but no row was there to score", none)
    numbers = {"rows": 1, "unusable": 0, "latency_ms": BUDGET}
    told(LoadCheck(rows=1, latency_ms=BUDGET), Outcome.PASS, "the scorer loads the release and scored 1 rows", numbers)
    slow = "the scorer took 100.5 ms for a row (p99), budget 100 ms"
    told(LoadCheck(rows=1, latency_ms=100.5), Outcome.FAIL, slow, numbers | {"latency_ms": 100.5})
    untimed = numbers | {"latency_ms": None}
    told(LoadCheck(rows=1), Outcome.PASS, "the scorer loads the release and scored 1 rows", untimed)


def test_a_rate_is_held_against_the_other_releases():
    alike = guardrails.error_rate(Arm(requests=200, errors=2), Arm(requests=400, errors=4), POLICY, 0.01)
    assert (alike.check, alike.outcome) == ("rollout.errors", Outcome.PASS)
    assert alike.text == "errors in 1.00% of 200 answers against 1.00% of 400"
    missing = guardrails.missing_features(Arm(requests=200, incomplete=2), Arm(requests=400), POLICY, 0.01)
    assert (missing.check, missing.outcome) == ("rollout.missing", Outcome.PASS)


def test_a_sound_shadow_is_told_whole():
    pairs = DecisionPairs(unscored=Clusters.independent(200, 2))
    # Without an error of the champion's the sample is whole as it is.
    numbers = {
        "count": 2, "requests": 200, "baseline_count": 0, "baseline_requests": 400, "difference": 0.01,
        "low": excess.at_least((2, 200), (0, 400), 0.2, 200), "margin": 0.01,
        "log_evidence": excess.log_evidence((2, 200), (0, 400)), "alpha": 0.01, "effective_requests": 200,
        "effective_baseline_requests": 400,
    }  # fmt: skip
    assert guardrails.shadow_errors(pairs, Arm(requests=400), POLICY, 0.01) == Reason(
        "rollout.shadow_errors", Outcome.PASS, "errors in the shadow in 1.00% of 200 rows against 0.00% of 400", numbers
    )


def test_a_latency_that_passes_is_told_whole_with_sequences_at_half_of_alpha():
    # Each sequence ends in another bucket at a third of alpha, or at twice alpha.
    ours, theirs = timed(*np.geomspace(1, 1000, 3000)), timed(*np.geomspace(1, 900, 4400))
    reason = guardrails.latency(ours, theirs, POLICY, 0.01)
    low, high = ours.quantile_sequence(0.99, 0.005).low, theirs.quantile_sequence(0.99, 0.005).high
    assert ours.quantile_sequence(0.99, 0.01 / 3).low < low
    assert theirs.quantile_sequence(0.99, 0.02).high < high
    p99, other = ours.quantile(0.99), theirs.quantile(0.99)
    text = f"p99 latency {p99:.1f} ms of 3000 requests against {other:.1f} ms, limit {2 * other:.1f} ms"
    numbers = {
        "p99_ms": p99, "low_ms": low, "baseline_p99_ms": other, "limit_ms": 2 * other, "limit_high_ms": 2 * high, "timed": 3000,
    }  # fmt: skip
    assert reason == Reason("rollout.latency", Outcome.PASS, text, numbers)
