from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release import guardrails
from everloop.decide.release.evidence import DecisionPairs
from everloop.decide.statistics.clusters import Clusters
from everloop.decide.statistics.intervals import rate_sequence, wilson
from everloop.decide.verdict import Outcome, Reason

POLICY = RolloutPolicy(minimum_requests=100, shadow_requests=200, minimum_labels=200)
RANK = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL]


def pairs(count, different):
    return DecisionPairs(different=Clusters.independent(count, different))


def judged(count, different, policy=POLICY, alpha=0.01):
    return guardrails.decision_shift(pairs(count, different), policy, alpha).outcome


def test_decisions_are_judged_by_how_many_rows_are_decided_differently():
    assert judged(400, 40) is Outcome.PASS
    assert judged(400, 300) is Outcome.FAIL
    assert judged(30, 3) is Outcome.INCONCLUSIVE
    assert judged(20, 20) is Outcome.FAIL
    assert judged(0, 0) is Outcome.INCONCLUSIVE


def test_models_that_decide_alike_pass_with_the_required_rows():
    assert (judged(199, 0), judged(200, 0)) == (Outcome.INCONCLUSIVE, Outcome.PASS)
    free = replace(POLICY, shadow_requests=0)
    assert (judged(1, 0, free), judged(0, 0, free)) == (Outcome.PASS, Outcome.INCONCLUSIVE)


def test_a_share_that_one_look_holds_to_be_above_the_limit_waits():
    outcomes = {different: judged(400, different) for different in range(100, 200)}
    for different, outcome in outcomes.items():
        low = rate_sequence(different, 400, 0.01).low
        doubted = wilson(different, 400, 0.6).low > 0.35
        expected = Outcome.FAIL if low > 0.35 else Outcome.INCONCLUSIVE if doubted else Outcome.PASS
        assert outcome is expected
    assert set(outcomes.values()) == set(RANK)


@given(st.integers(1, 400), st.data())
def test_more_rows_decided_differently_never_improve_the_outcome(count, data):
    different = data.draw(st.integers(0, count - 1))
    assert RANK.index(judged(count, different)) <= RANK.index(judged(count, different + 1))


def test_the_limit_itself_is_allowed():
    shown = guardrails.decision_shift(pairs(400, 300), POLICY, 0.01)
    low = shown.numbers["low"]
    at_low, below = (judged(400, 300, replace(POLICY, decision_shift=limit)) for limit in (low, low - 1e-9))
    assert (at_low, below) == (Outcome.INCONCLUSIVE, Outcome.FAIL)
    lax = replace(POLICY, decision_shift=wilson(300, 400, 0.6).low)
    assert judged(400, 300, lax) is Outcome.PASS
    assert judged(400, 400, replace(POLICY, decision_shift=1.0)) is Outcome.PASS


def test_rows_of_one_entity_count_for_what_they_are_worth():
    """Twenty entities of ten rows; twelve always get another decision."""
    by_entity = DecisionPairs(different=Clusters.of(np.full(20, 10), np.where(np.arange(20) < 12, 10, 0)))
    reason = guardrails.decision_shift(by_entity, POLICY, 0.01)
    assert judged(200, 120) is Outcome.FAIL
    assert reason.outcome is Outcome.INCONCLUSIVE
    assert reason.numbers["effective_pairs"] == pytest.approx(20)
    assert reason.numbers["low"] == pytest.approx(rate_sequence(12, 20, 0.01).low)


def test_one_entity_that_is_always_decided_differently_is_one_case():
    reason = guardrails.decision_shift(DecisionPairs(different=Clusters.of([40], [40])), POLICY, 0.01)
    assert (reason.outcome, reason.numbers["effective_pairs"]) == (Outcome.INCONCLUSIVE, 1)
    assert judged(40, 40) is Outcome.FAIL


def test_a_shift_is_told_with_its_limit_and_what_is_shown():
    nothing = guardrails.decision_shift(DecisionPairs(), POLICY, 0.01)
    assert nothing == Reason(
        "rollout.decisions", Outcome.INCONCLUSIVE, "no row was scored by both releases yet", {"pairs": 0}
    )  # fmt: skip
    numbers = {
        "different": 200, "pairs": 200, "share": 1.0, "low": rate_sequence(200, 200, 0.01).low, "limit": 0.35,
        "effective_pairs": 200, "rows": 200,
    }  # fmt: skip
    text = "100.0% of 200 same rows are decided differently, limit 35%"
    assert guardrails.decision_shift(pairs(200, 200), POLICY, 0.01) == Reason("rollout.decisions", Outcome.FAIL, text, numbers)
    text = "7.5% of 200 same rows are decided differently, limit 35%"
    numbers |= {"different": 15, "share": 0.075, "low": rate_sequence(15, 200, 0.01).low}
    assert guardrails.decision_shift(pairs(200, 15), POLICY, 0.01) == Reason("rollout.decisions", Outcome.PASS, text, numbers)


def ranked(trials, hits, rows=400, policy=POLICY, alpha=0.01):
    found = DecisionPairs(different=Clusters.independent(rows, 0), disordered=Clusters.independent(trials, hits))
    return guardrails.ranking_shift(found, policy, alpha)


def test_a_ranking_is_judged_by_the_pairs_of_rows_that_are_turned_round():
    assert ranked(190, 40).outcome is Outcome.PASS
    assert ranked(190, 85).outcome is Outcome.INCONCLUSIVE  # 45 % may be more than 40 %, and are not shown to be
    assert ranked(190, 120).outcome is Outcome.FAIL
    assert ranked(190, 85, policy=replace(POLICY, ranking_shift=0.45)).outcome is Outcome.PASS
    assert ranked(9, 1, rows=199).outcome is Outcome.INCONCLUSIVE
    assert ranked(0, 0, rows=0).outcome is Outcome.INCONCLUSIVE


def test_a_release_of_shuffled_labels_is_turned_back_within_a_few_hundred_rows_and_no_real_one():
    """Half of the pairs against a quarter, with the looks that a rollout has; the level is that of the default policy."""
    rng = np.random.default_rng(8)
    for rate, wanted in ((0.5, Outcome.FAIL), (0.24, Outcome.PASS)):
        for _ in range(20):
            turned = np.cumsum(rng.random(1_500) < rate)
            looks = [ranked(n, int(turned[n - 1]), rows=2 * n, alpha=0.0038).outcome for n in range(100, 1_501, 100)]
            assert wanted in looks
            assert {Outcome.PASS: Outcome.FAIL, Outcome.FAIL: Outcome.PASS}[wanted] not in looks[looks.index(wanted) :]


def test_a_baseline_that_orders_nothing_cannot_be_disagreed_with():
    assert ranked(0, 0, rows=200).outcome is Outcome.PASS


def test_a_ranking_is_told_with_its_limit_and_what_is_shown():
    numbers = {
        "different": 40.5, "pairs": 190, "share": 40.5 / 190, "low": rate_sequence(40.5, 190, 0.01).low, "limit": 0.4,
        "effective_pairs": 190, "rows": 400,
    }  # fmt: skip
    text = "21.3% of 190 pairs of rows are in the other order, limit 40%"
    assert ranked(190, 40.5) == Reason("rollout.ranking", Outcome.PASS, text, numbers)
    assert ranked(0, 0, rows=0) == Reason(
        "rollout.ranking", Outcome.INCONCLUSIVE, "no row was scored by both releases yet", {"pairs": 0}
    )  # fmt: skip


def test_couples_of_entities_count_for_what_they_are_worth():
    couples = DecisionPairs(
        different=Clusters.independent(400, 0), disordered=Clusters.of(np.full(20, 10), np.where(np.arange(20) < 12, 10, 0))
    )
    reason = guardrails.ranking_shift(couples, POLICY, 0.01)
    assert (reason.outcome, reason.numbers["effective_pairs"]) == (Outcome.INCONCLUSIVE, pytest.approx(20))
