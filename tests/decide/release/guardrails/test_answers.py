import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release import guardrails
from everloop.decide.release.evidence import LATENCY_EDGES, Arm, ByUnit, DecisionPairs, LoadCheck
from everloop.decide.statistics import excess
from everloop.decide.statistics.clusters import Clusters
from everloop.decide.statistics.intervals import rate_sequence
from everloop.decide.verdict import Outcome, Reason

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
    assert guardrails.shadow_errors(DecisionPairs(), Arm(), free, 0.01).outcome is Outcome.INCONCLUSIVE
    assert guardrails.decision_shift(DecisionPairs(), free, 0.01).outcome is Outcome.INCONCLUSIVE


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


def test_latency_passes_unless_one_look_says_that_more_than_one_in_a_hundred_requests_exceed_the_limit():
    for slow in range(1, 40):
        arm = timed(*[5.0] * (1_000 - slow), *[80.0] * slow)
        passed = guardrails.latency(arm, timed(*[5.0] * 3000), POLICY, 1e-9).outcome is Outcome.PASS
        assert passed is not excess.exceeds((slow, 1_000), (0, 0), 0.01, 0.2)
        assert passed is (slow <= 12)


def test_slow_requests_of_few_entities_raise_less_doubt():
    arm = timed(*[5.0] * 980, *[80.0] * 20)
    assert guardrails.latency(arm, timed(*[5.0] * 3000), POLICY, 0.003).outcome is Outcome.INCONCLUSIVE
    one = ByUnit(slow=Clusters.of(np.full(50, 20), np.where(np.arange(50) < 1, 20, 0)))
    assert guardrails.latency(replace(arm, by_entity=one), timed(*[5.0] * 3000), POLICY, 0.003).outcome is Outcome.PASS


def test_latency_passes_with_enough_timed_requests():
    """Rows of one request share its latency, and what was not timed tells nothing of it."""
    many = replace(timed(*[5.0] * 99), requests=5_000)
    assert guardrails.latency(many, timed(*[5.0] * 3000), POLICY, 0.003).outcome is Outcome.INCONCLUSIVE
    assert guardrails.latency(timed(*[5.0] * 100), timed(*[5.0] * 3000), POLICY, 0.003).outcome is Outcome.PASS


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
def test_a_rate_is_told_with_its_evidence_and_margin(judge, name, what, margin, field):
    reason = judge(Arm(requests=100, **{field: 50}), Arm(requests=200, **{field: 2}), POLICY, 0.01)
    low = excess.at_least((50, 100), (2, 200), 0.2, 100)
    text = f"{what} in 50.00% of 100 answers against 1.00% of 200: at least {low:.2%} more, {margin:.2%} allowed"
    numbers = {
        "count": 50, "requests": 100, "baseline_count": 2, "baseline_requests": 200, "difference": pytest.approx(0.49),
        "low": low, "margin": margin, "log_evidence": excess.log_evidence((50, 100), (2, 200)), "alpha": 0.01,
        "effective_requests": 100, "effective_baseline_requests": 200,
    }  # fmt: skip
    assert reason == Reason(name, Outcome.FAIL, text, numbers)
    alone = judge(Arm(requests=100, **{field: 1}), Arm(), POLICY, 0.01)
    assert (alone.outcome, alone.text) == (Outcome.PASS, f"{what} in 1.00% of 100 answers against 0.00% of 0")
    assert alone.numbers["low"] == rate_sequence(1, 100, 0.01).low
    assert (alone.numbers["difference"], alone.numbers["log_evidence"]) == (0.01, -math.log(0.01))
    at_the_margin = judge(Arm(requests=100, **{field: int(100 * margin)}), Arm(requests=50), POLICY, 0.01)
    assert at_the_margin.outcome is Outcome.PASS
    assert judge(Arm(requests=99), Arm(requests=50), POLICY, 0.01).outcome is Outcome.INCONCLUSIVE
    assert judge(Arm(requests=1), Arm(), replace(POLICY, minimum_requests=0), 0.01).outcome is Outcome.PASS


def test_a_rate_that_is_surely_higher_but_within_the_margin_passes():
    """Both tests must speak: half a per cent more is shown beyond doubt, and is allowed."""
    ours, theirs = Arm(requests=40_000, errors=600), Arm(requests=40_000, errors=400)
    reason = guardrails.error_rate(ours, theirs, POLICY, 0.01)
    assert reason.numbers["log_evidence"] > -math.log(0.01)
    assert 0 < reason.numbers["low"] < 0.01
    assert reason.outcome is Outcome.PASS
    assert guardrails.error_rate(ours, theirs, replace(POLICY, error_rate_margin=0.0), 0.01).outcome is Outcome.FAIL


def test_a_rate_that_lies_beyond_the_margin_but_may_be_no_higher_waits():
    ours, theirs = Arm(requests=110, errors=24), Arm(requests=20)
    reason = guardrails.error_rate(ours, theirs, POLICY, 0.01)
    assert reason.numbers["low"] > 0.01
    assert reason.numbers["log_evidence"] < -math.log(0.01)
    assert reason.outcome is Outcome.INCONCLUSIVE
    unsure = replace(POLICY, margin_alpha=0.01)
    assert guardrails.error_rate(ours, theirs, unsure, 0.01).outcome is Outcome.PASS


def test_errors_that_no_release_can_help_hide_no_others():
    """One entity with a seventh of the rows gets no answer of either release; the challenger fails on 15 % of the rest."""
    each = np.full(60, 20)
    own = Clusters.of(each, np.where(np.arange(60) < 30, 6, 0))
    champion = Arm(
        requests=1_400, errors=6, shared_errors=200, by_entity=ByUnit(errors=Clusters.of(each, np.arange(60) < 6))
    )  # fmt: skip
    worse = Arm(requests=1_200, errors=180, by_entity=ByUnit(errors=own))
    alike = replace(champion, requests=1_200, shared_errors=0)
    assert guardrails.error_rate(alike, champion, POLICY, 0.01).outcome is Outcome.PASS
    assert guardrails.error_rate(champion, alike, POLICY, 0.01).outcome is Outcome.PASS
    reason = guardrails.error_rate(worse, champion, POLICY, 0.01)
    assert reason.outcome is Outcome.FAIL
    assert reason.text == (
        "errors in 15.00% of 1200 answers against 0.50% of 1200, not counting 200 that neither release is known to answer: "
        f"at least {reason.numbers['low']:.2%} more, 1.00% allowed"
    )
    numbers = {
        "count": 180, "requests": 1_200, "baseline_count": 6, "baseline_requests": 1_200, "left_out": 0, "baseline_left_out": 200,
    }  # fmt: skip
    assert numbers.items() <= reason.numbers.items()


@given(*[st.integers(0, 50)] * 2, *[st.integers(50, 400)] * 2, *[st.integers(0, 300)] * 2)
def test_rows_that_neither_release_can_answer_change_no_verdict(errors, others, rows, other_rows, ours, theirs):
    candidate, baseline = Arm(requests=rows, errors=errors), Arm(requests=other_rows, errors=others)
    plain = guardrails.error_rate(candidate, baseline, POLICY, 0.01)
    hopeless = guardrails.error_rate(
        replace(candidate, requests=rows + ours, shared_errors=ours),
        replace(baseline, requests=other_rows + theirs, shared_errors=theirs),
        POLICY,
        0.01,
    )
    assert (hopeless.outcome, hopeless.numbers["low"]) == (plain.outcome, plain.numbers["low"])
    assert hopeless.numbers.items() >= plain.numbers.items()
    left_out = {"left_out": ours, "baseline_left_out": theirs} if ours + theirs else {}
    assert dict(hopeless.numbers.items() - plain.numbers.items()) == left_out


def test_rows_that_no_release_can_answer_are_no_traffic():
    hopeless = Arm(requests=199, shared_errors=100)
    assert guardrails.error_rate(hopeless, Arm(requests=900), POLICY, 0.01).outcome is Outcome.INCONCLUSIVE
    assert guardrails.error_rate(replace(hopeless, requests=200), Arm(requests=900), POLICY, 0.01).outcome is Outcome.PASS
    none = Arm(requests=500, shared_errors=500)
    assert guardrails.error_rate(none, none, POLICY, 0.01).outcome is Outcome.INCONCLUSIVE


def test_rows_of_one_entity_count_for_what_they_are_worth():
    """The same counts, but all errors are those of two entities that fail whenever they ask."""
    ours, theirs = Arm(requests=400, errors=40), Arm(requests=4_000, errors=40)
    assert guardrails.error_rate(ours, theirs, POLICY, 0.003).outcome is Outcome.FAIL
    each = np.full(20, 20)
    few = ByUnit(errors=Clusters.of(each, np.where(np.arange(20) < 2, 20, 0)))
    others = ByUnit(errors=Clusters.of(np.full(200, 20), np.where(np.arange(200) < 2, 20, 0)))
    reason = guardrails.error_rate(replace(ours, by_entity=few), replace(theirs, by_entity=others), POLICY, 0.003)
    assert reason.outcome is Outcome.INCONCLUSIVE
    assert reason.numbers["effective_requests"] == pytest.approx(20)
    assert reason.numbers["effective_baseline_requests"] == pytest.approx(200)
    assert reason.numbers["log_evidence"] == pytest.approx(excess.log_evidence((2, 20), (2, 200)))
    assert reason.numbers["low"] == pytest.approx(excess.at_least((2, 20), (2, 200), 0.2, 100))
    assert (reason.numbers["count"], reason.numbers["requests"]) == (40, 400)
    missing = guardrails.missing_features(
        Arm(requests=400, incomplete=40, by_entity=ByUnit(missing=few.errors)),
        Arm(requests=4_000, incomplete=40, by_entity=ByUnit(missing=others.errors)),
        POLICY,
        0.003,
    )
    assert missing.numbers["effective_requests"] == pytest.approx(20)


def test_with_nothing_to_hold_it_against_a_rate_fails_only_where_it_is_itself_shown_to_lie_above_the_margin():
    """One error of two answers, before the other release has answered any, is no reason to go back; six of six are."""
    quick = replace(POLICY, minimum_requests=40)
    assert guardrails.error_rate(Arm(requests=2, errors=1), Arm(), quick, 0.01).outcome is Outcome.INCONCLUSIVE
    assert guardrails.error_rate(Arm(requests=6, errors=6), Arm(), quick, 0.001).outcome is Outcome.FAIL
    for errors in range(2, 40):
        failed = guardrails.error_rate(Arm(requests=400, errors=errors), Arm(), quick, 0.01).outcome is Outcome.FAIL
        assert failed is (rate_sequence(errors, 400, 0.01).low > 0.01)


@pytest.mark.parametrize("units", ["by_entity", "by_batch"])
def test_a_single_entity_or_burst_that_always_fails_is_no_more_than_one_failure(units):
    """Nothing else has been seen of the release: twenty errors in twenty answers, all of one unit."""
    ours, theirs = Arm(requests=20, errors=20), Arm(requests=1_000)
    assert guardrails.error_rate(ours, theirs, POLICY, 0.01).outcome is Outcome.FAIL
    some = {units: ByUnit(errors=Clusters.of(np.full(50, 20), np.zeros(50)))}
    one = {units: ByUnit(errors=Clusters.of([20], [20]))}
    reason = guardrails.error_rate(replace(ours, **one), replace(theirs, **some), POLICY, 0.01)
    assert (reason.outcome, reason.numbers["effective_requests"]) == (Outcome.INCONCLUSIVE, 1)
    five = {units: ByUnit(errors=Clusters.of([4] * 5, [4] * 5))}
    assert guardrails.error_rate(replace(ours, **five), replace(theirs, **some), POLICY, 0.01).outcome is Outcome.FAIL
    slow = {units: ByUnit(slow=Clusters.of([20], [20]))}
    assert guardrails.latency(replace(timed(*[90.0] * 20), **slow), timed(*[5.0] * 900), POLICY, 0.01).outcome is not Outcome.FAIL


def test_the_kind_of_unit_counts_in_which_rows_move_together_most():
    """All errors of each arm lie in a tenth of its entities and in a fifth of its batches of time; batches are larger."""
    each = {"entity": Clusters.of(np.full(40, 10), np.where(np.arange(40) < 4, 10, 0)),
            "batch": Clusters.of(np.full(10, 40), np.where(np.arange(10) < 1, 40, 0))}  # fmt: skip
    ours = Arm(requests=400, errors=40)
    alone, by_entity, by_batch, both = (
        guardrails.error_rate(replace(ours, **units), replace(ours, **units), POLICY, 0.01).numbers["effective_requests"]
        for units in (
            {},
            {"by_entity": ByUnit(errors=each["entity"])},
            {"by_batch": ByUnit(errors=each["batch"])},
            {"by_entity": ByUnit(errors=each["entity"]), "by_batch": ByUnit(errors=each["batch"])},
        )
    )
    assert (alone, by_entity, by_batch, both) == pytest.approx((400, 40, 10, 10))
    slow = replace(timed(*[5.0] * 360, *[500.0] * 40), by_batch=ByUnit(slow=each["batch"]))
    assert guardrails.latency(slow, Arm(), POLICY, 0.01).numbers["low_ms"] == slow.quantile_sequence(0.99, 0.005, 40.0).low


def test_what_both_releases_read_is_no_evidence_of_missing_features():
    half, full = Arm(requests=600, incomplete=300), Arm(requests=2_000)
    text = "both releases read the same feature views, so what is missing is missing for both"
    same = guardrails.missing_features(half, full, POLICY, 0.01, same_views=True)
    assert same == Reason("rollout.missing", Outcome.PASS, text, {"requests": 600})
    none = guardrails.missing_features(Arm(), full, POLICY, 0.01, same_views=True)
    assert none == Reason("rollout.missing", Outcome.INCONCLUSIVE, text, {"requests": 0})


def shadow(offered, unscored=0):
    return DecisionPairs(unscored=Clusters.independent(offered, unscored))


def test_rows_that_fail_in_the_shadow_are_held_against_the_errors_of_the_answering_release():
    baseline = Arm(requests=1_000, errors=5)
    failing = guardrails.shadow_errors(shadow(100, 50), baseline, POLICY, 0.01)
    assert (failing.check, failing.outcome) == ("rollout.shadow_errors", Outcome.FAIL)
    low = excess.at_least((50, 101), (5, 1_000), 0.2, 200)
    assert failing.text == (
        f"errors in the shadow in 49.50% of 101 rows against 0.50% of 1000: at least {low:.2%} more, 1.00% allowed"
    )
    assert (failing.numbers["count"], failing.numbers["requests"], failing.numbers["low"]) == (50, 101, low)
    fine = guardrails.shadow_errors(shadow(200, 2), Arm(requests=1_000), POLICY, 0.01)
    assert (fine.outcome, fine.text) == (Outcome.PASS, "errors in the shadow in 1.00% of 200 rows against 0.00% of 1000")
    assert guardrails.shadow_errors(shadow(198), baseline, POLICY, 0.01).outcome is Outcome.INCONCLUSIVE
    assert guardrails.shadow_errors(shadow(200, 7), baseline, POLICY, 0.01).outcome is Outcome.INCONCLUSIVE
    assert guardrails.shadow_errors(shadow(193, 7), Arm(requests=1_000, errors=35), POLICY, 0.01).outcome is Outcome.PASS
    assert guardrails.shadow_errors(shadow(1), baseline, replace(POLICY, shadow_requests=0), 0.01).outcome is Outcome.PASS


def test_errors_in_the_shadow_are_counted_by_entity():
    unscored = Clusters.of(np.full(10, 20), np.where(np.arange(10) < 1, 20, 0))
    errors = Clusters.of(np.full(100, 20), np.where(np.arange(100) < 1, 20, 0))
    baseline = Arm(requests=2_000, errors=20, by_entity=ByUnit(errors=errors))
    numbers = guardrails.shadow_errors(DecisionPairs(unscored=unscored), baseline, POLICY, 0.01).numbers
    assert numbers["effective_requests"] == pytest.approx(202 / 20)
    assert numbers["effective_baseline_requests"] == pytest.approx(100)


def test_what_neither_release_can_score_is_no_trial_in_the_shadow():
    """A seventh of the rows gets no answer, whichever release is asked; of the rest the challenger cannot score one in seven."""
    hopeless = Arm(requests=1_400, errors=6, shared_errors=200)
    reason = guardrails.shadow_errors(shadow(400, 60), hopeless, POLICY, 0.01)
    assert reason.outcome is Outcome.FAIL
    assert reason.text.startswith(
        "errors in the shadow in 14.93% of 402 rows against 0.50% of 1200, not counting 200 that neither release is known to "
    )
    assert (reason.numbers["left_out"], reason.numbers["baseline_left_out"]) == (0, 200)
    assert guardrails.shadow_errors(shadow(400, 2), hopeless, POLICY, 0.01).outcome is Outcome.PASS


def test_a_release_that_fails_as_often_as_the_other_one_is_not_worse_in_the_shadow():
    """Each fails on 15 % of the rows by itself. The shadow sees good answers alone: in them the challenger's share is larger."""
    rows = np.array([[0.85 * 0.85, 0.85 * 0.15], [0.15 * 0.85, 0.15 * 0.15]]) * 40_000
    (both, only_ours), (only_theirs, neither) = rows.round().astype(int).tolist()
    champion = Arm(requests=40_000, errors=only_ours, shared_errors=neither)
    reason = guardrails.shadow_errors(shadow((both + only_theirs) // 5, only_theirs // 5), champion, POLICY, 0.01)
    assert (reason.outcome, reason.numbers["difference"]) == (Outcome.PASS, 0.0)
    assert reason.numbers["requests"] == 39_100 // 5
    broken = Arm(requests=300, errors=300)
    assert guardrails.shadow_errors(shadow(250), broken, POLICY, 0.01).numbers["requests"] == 250


def test_latency_is_told_with_its_sequence_and_limit():
    untimed = guardrails.latency(Arm(), Arm(), POLICY, 0.01)
    assert untimed == Reason("rollout.latency", Outcome.INCONCLUSIVE, "no request was timed yet", {"timed": 0})
    slow, fast = timed(*[500.0] * 100), timed(*[40.0] * 3000)
    reason = guardrails.latency(slow, fast, POLICY, 0.01)
    p99, other = slow.quantile(0.99), fast.quantile(0.99)
    assert (reason.check, reason.outcome) == ("rollout.latency", Outcome.FAIL)
    assert reason.text == f"p99 latency {p99:.1f} ms of 100 requests against {other:.1f} ms, limit {2 * other:.1f} ms"
    assert reason.numbers == {
        "p99_ms": p99, "low_ms": slow.quantile_sequence(0.99, 0.005).low, "baseline_p99_ms": other, "limit_ms": 2 * other,
        "limit_high_ms": 2 * fast.quantile_sequence(0.99, 0.005).high, "timed": 100,
    }  # fmt: skip
    alone = guardrails.latency(timed(*[5.0] * 100), Arm(), POLICY, 0.01)
    assert (alone.outcome, alone.numbers["baseline_p99_ms"], alone.numbers["limit_high_ms"]) == (Outcome.PASS, None, 20.0)
    assert alone.text == "p99 latency 5.0 ms of 100 requests with nothing to hold it against, limit 20.0 ms"
    assert guardrails.latency(timed(*[5.0] * 99), Arm(), POLICY, 0.01).outcome is Outcome.INCONCLUSIVE
    assert guardrails.latency(timed(5.0), Arm(), replace(POLICY, minimum_requests=0), 0.01).outcome is Outcome.PASS
    assert guardrails.latency(slow, Arm(), POLICY, 0.01).outcome is Outcome.FAIL


def test_slow_requests_of_a_few_entities_count_for_what_they_are_worth():
    """48 slow requests of 1,200: of as many entities they fail, of two that are always slow they do not."""
    ours, theirs = timed(*[5.0] * 1_152, *[500.0] * 48), timed(*[30.0] * 12_000)
    assert guardrails.latency(ours, theirs, POLICY, 0.01).outcome is Outcome.FAIL
    two = ByUnit(slow=Clusters.of(np.full(50, 24), np.where(np.arange(50) < 2, 24, 0)))
    none = ByUnit(slow=Clusters.of(np.full(500, 24), np.zeros(500)))
    reason = guardrails.latency(replace(ours, by_entity=two), replace(theirs, by_entity=none), POLICY, 0.01)
    assert reason.outcome is not Outcome.FAIL
    assert reason.numbers["low_ms"] == ours.quantile_sequence(0.99, 0.005, 24.0).low
    assert reason.numbers["limit_high_ms"] == 2 * theirs.quantile_sequence(0.99, 0.005, 24.0).high
