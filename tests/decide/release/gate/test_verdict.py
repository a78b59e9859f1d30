from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.policy import CostMatrix, GatePolicy
from everloop.decide.release.gate import (
    Behaviour,
    Boundaries,
    Candidate,
    Champion,
    Comparison,
    Difference,
    Disturbance,
    Evidence,
    Scored,
    alone,
    compare,
    judge,
)
from everloop.decide.statistics.compare import Estimate
from everloop.decide.verdict import Outcome, Reason, Verdict

POLICY = GatePolicy()
COST = CostMatrix(false_positive=1.0, false_negative=3.0)
MARCH = datetime(2013, 3, 15, tzinfo=UTC)
SEVERITY = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.ERROR, Outcome.FAIL]


def estimate(value: float, half: float, rows: int = 5_000) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half, rows=rows)


def difference(value: float, half: float = 0.004, champion_cost: float | None = 0.5) -> Difference:
    return Difference(cost=estimate(value, half), champion_cost=champion_cost)


QUIET = Disturbance(rows=5_000, changed=50, cost=estimate(0.0, 0.001), undisturbed=0.5)
BEHAVIOUR = Behaviour(tests={}, boundaries=Boundaries(rows=40), noise=QUIET, absent={})


def evidence() -> Evidence:
    """A candidate that is a little better than the champion everywhere."""
    return Evidence(
        candidate=Candidate(
            trained_through=MARCH + timedelta(days=28),
            rows=5_000,
            auc=estimate(0.72, 0.01),
            ece=estimate(0.03, 0.01),
            size_mb=0.8,
        ),
        behaviour=BEHAVIOUR,
        champion=Champion(release="aaaa", trained_through=MARCH),
        comparison=Comparison(
            rows=5_000,
            auc=estimate(0.01, 0.005),
            overall=difference(-0.02),
            slices={"carrier": {"AA": difference(-0.01), "UA": difference(-0.03)}},
        ),
    )


def outcome(verdict: Verdict, check: str) -> Outcome:
    return next(reason.outcome for reason in verdict.reasons if reason.check == check)


def compared(**changes) -> Evidence:
    found = evidence()
    assert found.comparison is not None
    return replace(found, comparison=replace(found.comparison, **changes))


def alone_with(**changes) -> Evidence:
    return Evidence(candidate=replace(evidence().candidate, **changes), behaviour=BEHAVIOUR)


def test_a_candidate_shown_to_be_no_worse_passes_with_a_reason_per_check() -> None:
    verdict = judge(evidence(), POLICY)
    assert verdict.passed
    assert [reason.check for reason in verdict.reasons] == [
        "gate.rows", "gate.auc_floor", "gate.calibration", "gate.size", "gate.behaviour.boundaries", "gate.stale",
        "gate.comparison", "gate.auc", "gate.cost", "gate.slice.carrier",
    ]  # fmt: skip


def test_a_first_release_is_held_to_the_floors_alone() -> None:
    verdict = judge(alone_with(), POLICY)
    assert verdict.passed
    assert not any(reason.check in ("gate.stale", "gate.comparison") for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("changes", "check", "expected"),
    [
        ({"rows": 999}, "gate.rows", Outcome.INCONCLUSIVE),
        ({"auc": estimate(0.58, 0.01)}, "gate.auc_floor", Outcome.FAIL),
        ({"auc": estimate(0.60, 0.01)}, "gate.auc_floor", Outcome.INCONCLUSIVE),
        ({"auc": None}, "gate.auc_floor", Outcome.INCONCLUSIVE),
        ({"ece": estimate(0.1, 0.01)}, "gate.calibration", Outcome.FAIL),
        ({"ece": estimate(0.075, 0.01)}, "gate.calibration", Outcome.INCONCLUSIVE),
        ({"ece": estimate(float("nan"), 0.0)}, "gate.calibration", Outcome.INCONCLUSIVE),
        ({"ece": None}, "gate.calibration", Outcome.INCONCLUSIVE),
        ({"size_mb": 50.1}, "gate.size", Outcome.FAIL),
    ],
)
def test_each_floor_stops_a_first_release(changes, check: str, expected: Outcome) -> None:
    verdict = judge(alone_with(**changes), POLICY)
    assert (outcome(verdict, check), verdict.outcome) == (expected, expected)


@pytest.mark.parametrize(
    ("changes", "check", "expected"),
    [
        ({"auc": estimate(-0.02, 0.005)}, "gate.auc", Outcome.FAIL),
        ({"auc": estimate(0.0, 0.006)}, "gate.auc", Outcome.INCONCLUSIVE),
        ({"auc": None}, "gate.auc", Outcome.INCONCLUSIVE),
        ({"overall": difference(0.02)}, "gate.cost", Outcome.FAIL),
        ({"overall": difference(0.0, half=0.02)}, "gate.cost", Outcome.INCONCLUSIVE),
        ({"overall": Difference(cost=None, champion_cost=None)}, "gate.cost", Outcome.INCONCLUSIVE),
        ({"rows": 999}, "gate.comparison", Outcome.INCONCLUSIVE),
        ({"slices": {"carrier": {"AA": difference(-0.1), "UA": difference(0.06)}}}, "gate.slice.carrier", Outcome.FAIL),
        ({"slices": {"carrier": {"UA": difference(0.02, half=0.03)}}}, "gate.slice.carrier", Outcome.PASS),
        ({"slices": {"carrier": {}}}, "gate.slice.carrier", Outcome.INCONCLUSIVE),
    ],
)
def test_each_comparison_stops_a_candidate(changes, check: str, expected: Outcome) -> None:
    verdict = judge(compared(**changes), POLICY)
    assert (outcome(verdict, check), verdict.outcome) == (expected, expected)


def test_the_reason_names_the_slice_that_got_worse() -> None:
    verdict = judge(compared(slices={"carrier": {"AA": difference(-0.1), "UA": difference(0.06)}}), POLICY)
    assert "for UA 0.0600" in verdict.because()
    assert "AA" not in verdict.because()


def test_the_cost_margin_is_a_share_of_the_champions_cost() -> None:
    cheap = compared(overall=difference(0.004, half=0.005, champion_cost=0.1))
    dear = compared(overall=difference(0.004, half=0.005, champion_cost=1.0))
    assert outcome(judge(cheap, POLICY), "gate.cost") is Outcome.INCONCLUSIVE
    assert outcome(judge(dear, POLICY), "gate.cost") is Outcome.PASS


def test_a_candidate_that_learnt_nothing_newer_is_stale() -> None:
    found = evidence()
    verdict = judge(replace(found, candidate=replace(found.candidate, trained_through=MARCH)), POLICY)
    assert (verdict.outcome, outcome(verdict, "gate.stale")) == (Outcome.FAIL, Outcome.FAIL)
    assert "stale: trained through 2013-03-15" in verdict.because()


def test_a_champion_without_a_comparison_is_an_error_that_says_why() -> None:
    verdict = judge(replace(evidence(), comparison=None, problem="champion aaaa needs column v__x"), POLICY)
    assert (verdict.outcome, verdict.because()) == (Outcome.ERROR, "champion aaaa needs column v__x")


def test_a_candidate_whose_behaviour_nobody_tested_never_passes() -> None:
    verdict = judge(replace(evidence(), behaviour=None), POLICY)
    assert (verdict.outcome, outcome(verdict, "gate.behaviour")) == (Outcome.ERROR, Outcome.ERROR)


def test_further_checks_count() -> None:
    unfair = Reason("fairness.carrier.tpr", Outcome.FAIL, "unfair")
    assert judge(evidence(), POLICY, [unfair]).outcome is Outcome.FAIL


def test_evidence_travels_as_json() -> None:
    sent = msgspec.to_builtins(evidence())
    assert judge(msgspec.convert(msgspec.json.decode(msgspec.json.encode(sent)), Evidence), POLICY) == judge(evidence(), POLICY)


@given(
    harm=st.floats(0, 1),
    auc=st.floats(-0.05, 0.05),
    cost=st.floats(-0.1, 0.1),
    floor=st.floats(0.5, 0.8),
    ece=st.floats(0, 0.2),
    part=st.sampled_from(["auc", "cost", "slice", "floor", "ece", "rows", "age", "size"]),
)
def test_a_worse_candidate_never_improves_the_verdict(harm, auc, cost, floor, ece, part) -> None:
    def judged(extra: float) -> int:
        bad = {name: extra if name == part else 0.0 for name in ("auc", "cost", "slice", "floor", "ece", "rows", "age", "size")}
        given = compared(
            auc=estimate(auc - bad["auc"], 0.005),
            overall=difference(cost + bad["cost"]),
            slices={"carrier": {"AA": difference(cost + bad["slice"])}},
            rows=int(2_000 * (1 - bad["rows"])),
        )
        candidate = replace(
            given.candidate,
            auc=estimate(floor - bad["floor"], 0.01),
            ece=estimate(ece + bad["ece"], 0.01),
            size_mb=100 * bad["size"],
            trained_through=MARCH + timedelta(days=1) - timedelta(days=2 * bad["age"]),
        )
        return SEVERITY.index(judge(replace(given, candidate=candidate), POLICY).outcome)

    assert judged(harm) >= judged(0.0)


@given(
    st.lists(
        st.sampled_from(["candidate.auc", "candidate.ece", "candidate.rows", "auc", "overall", "slices", "rows", "comparison"]),
        min_size=1,
        unique=True,
    )
)
def test_lost_evidence_never_passes(lost: list[str]) -> None:
    nothing = {
        "auc": None,
        "overall": Difference(cost=None, champion_cost=None),
        "slices": {"carrier": {}},
        "rows": 0,
        "ece": None,
    }
    given = compared(**{name: nothing[name] for name in lost if name in ("auc", "overall", "slices", "rows")})
    own = {name.removeprefix("candidate."): nothing[name.removeprefix("candidate.")] for name in lost if "." in name}
    given = replace(given, candidate=replace(given.candidate, **own))
    if "comparison" in lost:
        given = replace(given, comparison=None)
    assert not judge(given, POLICY).passed


def served(rows: int, quality: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, a good score, and a score that is as good for `quality` 1 and noise for 0."""
    random = np.random.default_rng(seed)
    good = random.beta(1, 3, rows)
    labels = random.uniform(size=rows) < good
    return labels, good, quality * good + (1 - quality) * random.permutation(good)


def through_the_gate(labels, candidate, champion, policy: GatePolicy = POLICY) -> Verdict:
    slices = {"half": np.where(np.arange(len(labels)) % 2, "odd", "even")}
    ours, theirs = Scored(candidate, COST.threshold), Scored(champion, COST.threshold)
    found = Evidence(
        candidate=alone(labels, ours, 1.0, MARCH + timedelta(days=7), policy),
        behaviour=BEHAVIOUR,
        champion=Champion(release="aaaa", trained_through=MARCH),
        comparison=compare(labels, ours, theirs, slices, COST, policy),
    )
    return judge(found, policy)


def test_a_model_as_good_as_the_champion_passes_on_real_rows() -> None:
    labels, good, same = served(20_000, 1.0, seed=1)
    assert through_the_gate(labels, same, good).passed


def test_shuffled_scores_fail_on_cost_auc_and_slices() -> None:
    labels, good, noise = served(20_000, 0.0, seed=2)
    verdict = through_the_gate(labels, noise, good)
    failed = {reason.check for reason in verdict.reasons if reason.outcome is Outcome.FAIL}
    assert failed == {"gate.auc_floor", "gate.calibration", "gate.auc", "gate.cost", "gate.slice.half"}


def test_no_rows_are_inconclusive_and_never_pass() -> None:
    verdict = through_the_gate(np.zeros(0, dtype=bool), np.zeros(0), np.zeros(0))
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_few_rows_do_not_pass_an_equal_model() -> None:
    labels, good, _ = served(500, 1.0, seed=3)
    noisy = np.clip(good + np.random.default_rng(4).normal(0, 0.05, 500), 0, 1)
    assert through_the_gate(labels, noisy, good).outcome is Outcome.INCONCLUSIVE


def test_slices_below_the_minimum_are_not_judged() -> None:
    labels, good, _ = served(1_000, 1.0, seed=5)
    rare = np.where(np.arange(1_000) < POLICY.slice_minimum - 1, "rare", "common")
    scored = Scored(good, COST.threshold)
    assert set(compare(labels, scored, scored, {"kind": rare}, COST, POLICY).slices["kind"]) == {"common"}
