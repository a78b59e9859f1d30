from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release import guardrails
from everloop.decide.release.evidence import LATENCY_EDGES, Arm, LoadCheck, ScorePairs
from everloop.decide.statistics.intervals import rate_sequence
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


def test_latency_fails_when_many_requests_are_slower_than_the_limit():
    fast, slow = timed(*[5.0] * 3000), timed(*[5.0] * 250, *[80.0] * 50)
    assert guardrails.latency(slow, fast, POLICY, 0.003).outcome is Outcome.FAIL
    assert guardrails.latency(fast, fast, POLICY, 0.003).outcome is Outcome.PASS


def test_latency_is_not_sure_of_a_few_requests():
    slow = timed(*[5.0] * 196, *[80.0] * 4)
    assert guardrails.latency(slow, timed(*[5.0] * 3000), POLICY, 0.003).outcome is Outcome.INCONCLUSIVE


def test_latency_under_the_floor_passes_whatever_the_factor():
    assert guardrails.latency(timed(*[15.0] * 200), timed(*[1.0] * 200), POLICY, 0.003).outcome is Outcome.PASS


def test_missing_features_fail_beyond_the_margin():
    full, half = Arm(requests=2000), Arm(requests=600, incomplete=300)
    assert guardrails.missing_features(half, full, POLICY, 0.01).outcome is Outcome.FAIL
    assert guardrails.missing_features(Arm(requests=600, incomplete=12), full, POLICY, 0.01).outcome is Outcome.PASS
    assert guardrails.missing_features(Arm(requests=60), full, POLICY, 0.01).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (None, "the scorer has not been asked to load the release yet"),
        (LoadCheck(refused="no"), "the scorer does not serve the release: no"),
        (LoadCheck(unreachable="gone"), "the scorer could not be asked: gone"),
        (LoadCheck.of([0.1, None]), "1 of 2 scores were no probability"),
        (LoadCheck(), "the release loads, but no row was there to score"),
        (LoadCheck.of([0.1], 101.0), "the scorer took 101.0 ms for a row (p99), budget 100 ms"),
        (LoadCheck.of([0.1], 100.0), "the scorer loads the release and scored 1 rows"),
    ],
)
def test_the_load_check_tells_what_the_scorer_said(check, text):
    reason = guardrails.load_check(check, POLICY)
    assert (reason.check, reason.text) == ("rollout.check", text)
    asked = check is not None and check.refused is None and check.unreachable is None
    counted = {"rows": check.rows, "unusable": check.unusable, "latency_ms": check.latency_ms} if asked else {}
    assert reason.numbers == counted


@pytest.mark.parametrize(
    ("judge", "name", "what", "margin", "field"),
    [
        (guardrails.error_rate, "rollout.errors", "errors", 0.01, "errors"),
        (guardrails.missing_features, "rollout.missing", "missing features", 0.05, "incomplete"),
    ],
)
def test_a_rate_is_told_with_its_sequence_and_margin(judge, name, what, margin, field):
    reason = judge(Arm(requests=100, **{field: 50}), Arm(requests=200, **{field: 2}), POLICY, 0.01)
    ours, theirs = rate_sequence(50, 100, 0.005), rate_sequence(2, 200, 0.005)
    assert reason.check == name
    assert reason.text == (
        f"{what} in 50.00% of 100 answers against 1.00% of 200: at least {ours.low - theirs.high:.2%} more, {margin:.2%} allowed"
    )
    assert reason.numbers == {
        "count": 50, "requests": 100, "baseline_count": 2, "baseline_requests": 200, "difference": pytest.approx(0.49),
        "low": ours.low - theirs.high, "high": ours.high - theirs.low, "margin": margin,
    }  # fmt: skip
    alone = judge(Arm(requests=100, **{field: 1}), Arm(), POLICY, 0.01)
    assert (alone.outcome, alone.text) == (Outcome.PASS, f"{what} in 1.00% of 100 answers against 0.00% of 0")
    assert alone.numbers["low"] == rate_sequence(1, 100, 0.005).low
    assert alone.numbers["high"] == rate_sequence(1, 100, 0.005).high
    at_the_margin = judge(Arm(requests=100, **{field: int(100 * margin)}), Arm(requests=50), POLICY, 0.01)
    assert at_the_margin.outcome is Outcome.PASS
    assert judge(Arm(requests=99), Arm(requests=50), POLICY, 0.01).outcome is Outcome.INCONCLUSIVE
    assert judge(Arm(requests=1), Arm(), replace(POLICY, minimum_requests=0), 0.01).outcome is Outcome.PASS


def test_rows_that_fail_in_the_shadow_are_told():
    failing = guardrails.shadow_errors(ScorePairs(offered=100, unscored=50), POLICY, 0.01)
    assert (failing.check, failing.outcome) == ("rollout.shadow_errors", Outcome.FAIL)
    assert failing.text == "50 of 100 rows could not be scored in the shadow, 1.00% allowed"
    low = rate_sequence(50, 100, 0.01).low
    assert failing.numbers == {"unscored": 50, "offered": 100, "low": low, "margin": 0.01}
    fine = guardrails.shadow_errors(ScorePairs(offered=200, unscored=2), POLICY, 0.01)
    assert (fine.outcome, fine.text) == (Outcome.PASS, "2 of 200 rows could not be scored in the shadow")
    assert guardrails.shadow_errors(ScorePairs(offered=199), POLICY, 0.01).outcome is Outcome.INCONCLUSIVE
    assert guardrails.shadow_errors(ScorePairs(offered=200, unscored=4), POLICY, 0.01).outcome is Outcome.INCONCLUSIVE
    free = replace(POLICY, shadow_requests=0)
    assert guardrails.shadow_errors(ScorePairs(offered=1), free, 0.01).outcome is Outcome.PASS


def test_latency_is_told_with_its_sequence_and_limit():
    untimed = guardrails.latency(Arm(), Arm(), POLICY, 0.01)
    assert (untimed.check, untimed.text, untimed.numbers) == ("rollout.latency", "no request was timed yet", {"timed": 0})
    slow, fast = timed(*[500.0] * 100), timed(*[40.0] * 3000)
    reason = guardrails.latency(slow, fast, POLICY, 0.01)
    p99, other = slow.quantile(0.99), fast.quantile(0.99)
    assert (reason.check, reason.outcome) == ("rollout.latency", Outcome.FAIL)
    assert reason.text == f"p99 latency {p99:.1f} ms of 100 requests against {other:.1f} ms, limit {2 * other:.1f} ms"
    assert reason.numbers == {
        "p99_ms": p99, "low_ms": slow.quantile_sequence(0.99, 0.005).low, "baseline_p99_ms": other,
        "baseline_high_ms": fast.quantile_sequence(0.99, 0.005).high, "limit_ms": 2 * other, "timed": 100,
    }  # fmt: skip
    alone = guardrails.latency(timed(*[5.0] * 100), Arm(), POLICY, 0.01)
    assert (alone.outcome, alone.numbers["baseline_p99_ms"], alone.numbers["baseline_high_ms"]) == (Outcome.PASS, None, None)
    assert alone.text == "p99 latency 5.0 ms of 100 requests with nothing to hold it against, limit 20.0 ms"
    assert guardrails.latency(timed(*[5.0] * 99), Arm(), POLICY, 0.01).outcome is Outcome.INCONCLUSIVE
    assert guardrails.latency(timed(5.0), Arm(), replace(POLICY, minimum_requests=0), 0.01).outcome is Outcome.PASS
    assert guardrails.latency(slow, Arm(), POLICY, 0.01).outcome is Outcome.FAIL
