"""The table of guardrails: what is judged in which stage, at which level, and that all of it spends no more than it may."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from everloop.decide import fairness, parity_verdict
from everloop.decide.fairness import GroupCounts
from everloop.decide.parity_verdict import Standing, Standings
from everloop.decide.policy import FairnessPolicy, RolloutPolicy
from everloop.decide.release import guardrails
from everloop.decide.release.evidence import (
    LATENCY_EDGES,
    Arm,
    Assigned,
    DecisionPairs,
    Evidence,
    ExpectedCosts,
    PairedCosts,
)
from everloop.decide.release.guardrails import GUARDRAILS, Guardrail, Trial, experiment_level, level
from everloop.decide.release.state import Stage
from everloop.decide.statistics.clusters import Clusters
from everloop.decide.verdict import Outcome

SHADOW, CANARY, WATCH, EXPERIMENT = Stage.SHADOW, Stage.CANARY, Stage.WATCH, Stage.EXPERIMENT
POLICY = RolloutPolicy(watch_labels=700)
UNJUDGED, FOUR_FIFTHS = FairnessPolicy(error_rate_difference=None), FairnessPolicy.four_fifths("sex")
BY_NAME = {one.name: one for one in GUARDRAILS}


def arm(requests, errors=0, incomplete=0):
    latency = [0] * (len(LATENCY_EDGES) + 1)
    latency[80] = requests
    return Arm(requests=requests, errors=errors, incomplete=incomplete, latency=tuple(latency))


RNG = np.random.default_rng(1)
GROUPS = {
    "sex": {"f": GroupCounts(rows=4_000, selected=600), "m": GroupCounts(rows=4_000, selected=1_200)},
    "age": {"old": GroupCounts(rows=4_000, selected=900), "young": GroupCounts(rows=4_000, selected=1_000)},
}
EVIDENCE = Evidence(
    traffic=4_000,
    candidate=arm(400, errors=9, incomplete=30),
    baseline=arm(3_600, errors=20, incomplete=100),
    pairs=DecisionPairs(
        different=Clusters.independent(800, 90), disordered=Clusters.independent(390, 60), unscored=Clusters.independent(810, 10)
    ),
    costs=PairedCosts.of(*RNG.choice([0.0, 1.0, 3.0], size=(2, 600)), 3.0),
    expected=ExpectedCosts.of(*RNG.random((2, 800))),
    groups=GROUPS,
    assigned=Assigned(candidate=210, baseline=1_800),
)


def trial(stage=CANARY, weight=0.1, groups=UNJUDGED, **evidence):
    return Trial(stage=stage, weight=weight, evidence=replace(EVIDENCE, **evidence), policy=POLICY, groups=groups)


def judged(name, of=None, alpha=0.013):
    return list(BY_NAME[name].judge(of or trial(), alpha))


@pytest.mark.parametrize(
    ("stage", "names"),
    [
        (Stage.CHECK, []),
        (SHADOW, ["shadow_errors", "decisions", "ranking", "parity", "estimated_cost", "cost", "fairness"]),
        (
            CANARY,
            [
                "errors",
                "missing",
                "latency",
                "sample_ratio",
                "decisions",
                "ranking",
                "parity",
                "estimated_cost",
                "cost",
                "fairness",
            ],
        ),
        (WATCH, ["errors", "missing", "latency", "decisions", "ranking", "parity", "estimated_cost", "cost", "fairness"]),
        (EXPERIMENT, ["errors", "missing", "latency"]),
    ],
)
def test_each_stage_has_its_guardrails(stage, names):
    assert [one.name for one in GUARDRAILS if stage in one.stages] == names


def test_names_are_told_apart():
    assert len(BY_NAME) == len(GUARDRAILS) == 11


@pytest.mark.parametrize(
    ("stage", "required"),
    [
        (SHADOW, {"shadow_errors", "decisions", "ranking"}),
        (CANARY, {"errors", "missing", "latency", "decisions", "ranking"}),
        (WATCH, {"errors", "missing", "latency", "cost"}),
    ],
)
def test_a_stage_needs_some_of_them_to_pass(stage, required):
    assert {one.name for one in GUARDRAILS if stage in one.stages and one.required(trial(stage))} == required


@pytest.mark.parametrize(("stage", "required"), [(SHADOW, False), (CANARY, True), (WATCH, True)])
def test_a_baseline_whose_served_features_fail_makes_parity_required_where_there_is_traffic(stage, required):
    failing = Standing(release="old", interval="week 9", outcome=Outcome.FAIL, because="temp differs")
    assert BY_NAME["parity"].required(trial(stage, parity=Standings(candidate=None, baseline=failing))) is required
    assert BY_NAME["parity"].required(trial(stage)) is False


def test_each_judges_its_own_evidence_at_the_level_that_it_is_given():
    candidate, baseline = EVIDENCE.candidate, EVIDENCE.baseline
    assert judged("errors") == [guardrails.error_rate(candidate, baseline, POLICY, 0.013)]
    assert judged("missing") == [guardrails.missing_features(candidate, baseline, POLICY, 0.013)]
    assert judged("latency") == [guardrails.latency(candidate, baseline, POLICY, 0.013)]
    assert judged("shadow_errors") == [guardrails.shadow_errors(EVIDENCE.pairs, baseline, POLICY, 0.013)]
    assert judged("decisions") == [guardrails.decision_shift(EVIDENCE.pairs, POLICY, 0.013)]
    assert judged("ranking") == [guardrails.ranking_shift(EVIDENCE.pairs, POLICY, 0.013)]
    assert judged("parity") == [parity_verdict.for_rollout(EVIDENCE.parity)]
    assert judged("estimated_cost") == [guardrails.estimated_cost(EVIDENCE.expected, POLICY, 0.013)]
    assert judged("cost") == [guardrails.labelled_cost(EVIDENCE.costs, POLICY, 0.013, 700)]
    assert judged("sample_ratio") == [guardrails.sample_ratio(EVIDENCE.assigned, 0.1, POLICY.srm_alpha)]


def test_views_that_both_read_are_told_to_the_judge_of_missing_features():
    assert judged("missing", trial(same_views=True)) == [
        guardrails.missing_features(EVIDENCE.candidate, EVIDENCE.baseline, POLICY, 0.013, same_views=True)
    ]


def test_the_split_is_judged_only_where_there_is_one():
    assert judged("sample_ratio", trial(weight=1.0)) == []
    assert len(judged("sample_ratio", trial(weight=0.99))) == 1


def test_cost_waits_for_as_many_labels_as_it_takes_to_judge_it():
    few = replace(POLICY, watch_labels=10, minimum_labels=250)
    reason = judged("cost", replace(trial(), policy=few))[0]
    assert reason.numbers["required"] == 250


def test_groups_share_their_level_and_are_judged_only_where_the_policy_says_so():
    expected = [
        reason
        for column, counts in GROUPS.items()
        for reason in fairness.judge(column, counts, FOUR_FIFTHS, alpha=0.013 / 2, intervals=fairness.ALWAYS_VALID).reasons
    ]
    assert expected
    assert judged("fairness", trial(groups=FOUR_FIFTHS)) == expected
    assert judged("fairness", trial(groups=UNJUDGED)) == []


@pytest.mark.parametrize(
    ("policy", "groups", "names"),
    [
        (POLICY, UNJUDGED, set()),
        (replace(POLICY, estimated_cost_margin=0.0), UNJUDGED, {"estimated_cost"}),
        (POLICY, FOUR_FIFTHS, {"fairness"}),
        (POLICY, replace(FOUR_FIFTHS, columns=()), set()),
        (POLICY, replace(UNJUDGED, columns=("sex",)), set()),
    ],
)
def test_what_cannot_fail_spends_nothing(policy, groups, names):
    always = set(BY_NAME) - {"estimated_cost", "fairness"}
    assert {one.name for one in GUARDRAILS if one.spends(policy, groups)} == always | names


def test_the_default_levels():
    """The split may spend 0.001 in each of four steps; 12 shares divide the rest, and some of them six stages each."""
    rest = 0.05 - 4 * 0.001
    found = {one.name: level(one, RolloutPolicy(), UNJUDGED) for one in GUARDRAILS}
    assert found == pytest.approx({
        "shadow_errors": rest / 12, "errors": 2 * rest / 12 / 6, "missing": rest / 12 / 6, "latency": 2 * rest / 12 / 6,
        "sample_ratio": 0, "decisions": rest / 12, "ranking": rest / 12,
        "parity": 0, "estimated_cost": rest / 12, "cost": 4 * rest / 12,
        "fairness": rest / 12,
    })  # fmt: skip
    judging = replace(RolloutPolicy(), estimated_cost_margin=0.1)
    assert level(BY_NAME["cost"], judging, FOUR_FIFTHS) == pytest.approx(4 * rest / 14)


def test_evidence_that_begins_anew_is_looked_at_once_in_each_stage():
    looks = {one.name: one.looks(RolloutPolicy(steps=(0.1, 0.5, 1.0))) for one in GUARDRAILS}
    assert looks == {name: 4 if name in ("errors", "missing", "latency") else 1 for name in BY_NAME}
    everywhere = Guardrail(name="all", stages=frozenset({SHADOW, CANARY, WATCH, EXPERIMENT}), judge=lambda *_: (), anew=True)
    assert everywhere.looks(RolloutPolicy(steps=(0.1, 0.5))) == 4
    assert Guardrail(name="one", stages=frozenset({SHADOW}), judge=lambda *_: (), anew=True).looks(RolloutPolicy()) == 1


steps = st.lists(st.sampled_from([0.01, 0.05, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=1, max_size=6, unique=True).map(sorted)
policies = st.builds(
    RolloutPolicy,
    steps=steps.map(tuple),
    alpha=st.floats(0.01, 0.5),
    srm_alpha=st.floats(0, 0.01),
    estimated_cost_margin=st.sampled_from([None, 0.0, 0.1]),
)


@given(policies, st.sampled_from([UNJUDGED, FOUR_FIFTHS, FairnessPolicy(columns=("sex", "age"), error_rate_difference=0.25)]))
def test_a_whole_rollout_spends_no_more_than_it_may(policy, groups):
    """Each guardrail in each stage that it looks at anew, and the test of the split in each step that has one."""
    assume(not policy.problems())
    spent = sum(level(one, policy, groups) * one.looks(policy) for one in GUARDRAILS if one.spends(policy, groups))
    split = policy.srm_alpha * sum(weight < 1 for weight in policy.steps)
    assert spent + split == pytest.approx(policy.alpha)
    assert all(level(one, policy, groups) > 0 for one in GUARDRAILS if one.share)


def test_a_split_that_takes_all_leaves_nothing_and_not_less():
    assert level(BY_NAME["cost"], RolloutPolicy(alpha=0.003, srm_alpha=0.001), UNJUDGED) == 0


def test_an_experiment_spends_what_it_may_in_its_one_stage():
    levels = {one.name: experiment_level(one, POLICY) for one in GUARDRAILS if EXPERIMENT in one.stages}
    assert levels == pytest.approx({"errors": 0.02, "missing": 0.01, "latency": 0.02})
    assert sum(levels.values()) == pytest.approx(POLICY.alpha)


def test_a_guardrail_is_required_and_spends_unless_it_says_otherwise():
    plain = Guardrail(name="plain", stages=frozenset({CANARY}), judge=lambda *_: ())
    assert (plain.required(trial()), plain.spends(POLICY, UNJUDGED), plain.share, plain.anew) == (True, True, 0, False)
