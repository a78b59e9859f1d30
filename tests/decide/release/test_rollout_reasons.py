"""What each stage looks at, and what is said of it: every reason whole, at the share of alpha that is its own."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from decide.release.test_rollout import CANARY, CHECK, GOOD, IDLE, LATER, PAUSED, POLICY, SHADOW, T0, WATCH, evidence, grouped
from everloop.decide import fairness, parity_verdict
from everloop.decide.policy import FairnessPolicy
from everloop.decide.release import guardrails
from everloop.decide.release.evidence import DecisionPairs, Evidence, ExpectedCosts
from everloop.decide.release.rollout import Action, Kind, advance
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.statistics.clusters import Clusters
from everloop.decide.verdict import Outcome, Reason, Verdict

EXPERIMENT = replace(CHECK, stage=Stage.EXPERIMENT)
SEEN = replace(GOOD, expected=ExpectedCosts.of(np.linspace(0.2, 0.4, 300), np.linspace(0.2, 0.4, 300)))
REST = 0.05 - 2 * 0.001
"""What the test of the split leaves in two steps of the canary: twelve shares of the guardrails, and one of groups."""
ALPHA = REST / 12
ARMS = SEEN.candidate, SEEN.baseline
FOUR_FIFTHS = FairnessPolicy.four_fifths("sex")


def at_time(stage: str, seconds: int, least: int) -> Reason:
    outcome = Outcome.PASS if seconds >= least else Outcome.INCONCLUSIVE
    numbers = {"seconds": float(seconds), "least_seconds": float(least)}
    return Reason("rollout.time", outcome, f"{seconds} s in {stage}, at least {least} s", numbers)


def of_rows(labels: int) -> tuple[Reason, ...]:
    """What is judged of the rows that both releases scored, in any stage with traffic."""
    return (
        guardrails.decision_shift(SEEN.pairs, POLICY, ALPHA),
        guardrails.ranking_shift(SEEN.pairs, POLICY, ALPHA),
        parity_verdict.for_rollout(SEEN.parity),
        guardrails.estimated_cost(SEEN.expected, POLICY, ALPHA),
        guardrails.labelled_cost(SEEN.costs, POLICY, 4 * ALPHA, labels),
    )


TRAFFIC = Reason("rollout.traffic", Outcome.PASS, "4000 rows answered in this stage", {"rows": 4000})
ANSWERS = (
    guardrails.error_rate(*ARMS, POLICY, 2 * ALPHA / 3),
    guardrails.missing_features(*ARMS, POLICY, ALPHA / 3),
    guardrails.latency(*ARMS, POLICY, 2 * ALPHA / 3),
)
"""They begin anew with each of two steps of the canary and with the watch."""


def test_the_check_looks_at_the_scorers_word_alone() -> None:
    reasons = advance(CHECK, SEEN, POLICY, LATER, FOUR_FIFTHS).verdict.reasons
    assert reasons == (guardrails.load_check(SEEN.check, POLICY),)
    assert advance(CHECK, replace(SEEN, groups=grouped(0.15)), POLICY, LATER, FOUR_FIFTHS).verdict.reasons == reasons


def test_the_shadow_looks_at_what_could_not_be_scored_and_at_the_rows_that_both_scored() -> None:
    errors = guardrails.shadow_errors(SEEN.pairs, SEEN.baseline, POLICY, ALPHA)
    reasons = advance(SHADOW, SEEN, POLICY, LATER).verdict.reasons
    assert reasons == (at_time("shadow", 3600, 60), TRAFFIC, errors, *of_rows(500))


def test_a_canary_looks_at_its_answers_and_at_the_split_too() -> None:
    split = guardrails.sample_ratio(SEEN.assigned, 0.1, POLICY.srm_alpha)
    reasons = advance(CANARY, SEEN, POLICY, LATER).verdict.reasons
    assert reasons == (at_time("canary", 3600, 60), TRAFFIC, *ANSWERS, split, *of_rows(500))
    # At full weight there is nothing to split.
    reasons = advance(replace(CANARY, weight=1.0), SEEN, POLICY, LATER).verdict.reasons
    assert reasons == (at_time("canary", 3600, 60), TRAFFIC, *ANSWERS, *of_rows(500))


def test_the_watch_lasts_its_own_time_and_wants_labels_enough() -> None:
    reasons = advance(WATCH, SEEN, POLICY, T0 + timedelta(seconds=299)).verdict.reasons
    assert reasons == (at_time("watch", 299, 300), TRAFFIC, *ANSWERS, *of_rows(500))
    fewer = replace(POLICY, watch_labels=150)
    assert advance(WATCH, SEEN, fewer, LATER).verdict.reasons[-1].numbers["required"] == POLICY.minimum_labels


def test_groups_are_judged_by_intervals_that_hold_at_every_look_and_share_their_part_of_alpha() -> None:
    two = grouped(0.15) | {"age": grouped(0.3)["sex"]}
    rule = replace(FOUR_FIFTHS, columns=("sex", "age"))
    verdict = advance(CANARY, replace(SEEN, groups=two), POLICY, LATER, rule).verdict
    expected = [
        reason
        for column, counts in two.items()
        for reason in fairness.judge(column, counts, rule, alpha=REST / 13 / 2, intervals=fairness.ALWAYS_VALID).reasons
    ]
    assert expected
    assert list(verdict.reasons[-len(expected) :]) == expected


def test_few_rows_that_both_scored_hold_the_canary_and_not_the_watch() -> None:
    few = replace(SEEN, pairs=DecisionPairs(different=Clusters.independent(20, 0), unscored=Clusters.independent(300, 0)))
    assert advance(CANARY, few, POLICY, LATER).kind is Kind.WAIT
    assert advance(WATCH, few, POLICY, LATER).kind is Kind.CONCLUDE


def test_labels_and_expected_costs_hold_no_canary() -> None:
    unlabelled = replace(SEEN, costs=evidence(labels=10).costs, expected=ExpectedCosts())
    assert advance(CANARY, unlabelled, POLICY, LATER).kind is Kind.ADVANCE


def test_nothing_answered_is_told() -> None:
    reason = advance(CANARY, Evidence(), POLICY, LATER).verdict.reasons[1]
    assert reason == Reason("rollout.traffic", Outcome.INCONCLUSIVE, "no traffic in this stage yet", {"rows": 0})


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (IDLE, "nothing is on trial"),
        (PAUSED, "paused: a person has to resume, abort or revert"),
        (EXPERIMENT, "an experiment is under way: a rollout can begin when it has ended"),
    ],
)
def test_what_is_not_under_trial_says_what_it_waits_for(state: ReleaseState, text: str) -> None:
    reason = Reason("rollout.stage", Outcome.INCONCLUSIVE, text)
    assert advance(state, SEEN, POLICY, LATER) == Action(Kind.WAIT, state, Verdict(Outcome.INCONCLUSIVE, (reason,)), "everloop")


@pytest.mark.parametrize("since", [None, LATER])
def test_a_stage_that_has_not_begun_has_lasted_no_time(since) -> None:
    reasons = advance(replace(CANARY, since=since), SEEN, POLICY, T0).verdict.reasons
    assert reasons[0] == at_time("canary", 0, 60)


def test_a_stage_lasts_its_patience_and_no_longer() -> None:
    unsure = replace(evidence(requests=20), traffic=1)
    assert advance(CANARY, unsure, POLICY, T0 + POLICY.patience).kind is Kind.WAIT
    late = T0 + POLICY.patience + timedelta(seconds=1)
    paused = advance(CANARY, unsure, POLICY, late)
    assert (paused.kind, paused.after) == (
        Kind.PAUSE, replace(CANARY, stage=Stage.PAUSED, resume=Stage.CANARY, weight=0.0, since=late),
    )  # fmt: skip
    assert "20 answers" in paused.reason
    assert advance(CANARY, Evidence(check=SEEN.check), POLICY, late).kind is Kind.WAIT
    assert advance(CHECK, Evidence(traffic=5), POLICY, late) == advance(CHECK, Evidence(), POLICY, late)
    assert advance(CHECK, Evidence(traffic=5), POLICY, late).kind is Kind.WAIT
