from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
import numpy as np

from decide.release.gate.candidates import BEHAVIOUR, MARCH, POLICY, evidence
from everloop.decide.policy import CostMatrix, GatePolicy
from everloop.decide.release.gate import Champion, Difference, Evidence, Scored, alone, compare, judge
from everloop.decide.statistics.calibration import calibration_interval
from everloop.decide.statistics.compare import auc, auc_difference, costs, mean_difference
from everloop.decide.verdict import Outcome, Verdict

COST = CostMatrix(false_positive=1.0, false_negative=3.0)


def test_evidence_travels_as_json() -> None:
    sent = msgspec.to_builtins(evidence())
    assert judge(msgspec.convert(msgspec.json.decode(msgspec.json.encode(sent)), Evidence), POLICY) == judge(evidence(), POLICY)


def served(rows: int, quality: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, a good score, and a score that is as good for `quality` 1 and noise for 0."""
    random = np.random.default_rng(seed)
    good = random.beta(1, 3, rows)
    labels = random.uniform(size=rows) < good
    return labels, good, quality * good + (1 - quality) * random.permutation(good)


def days(labels) -> np.ndarray:
    """Hundred rows a day."""
    return np.arange(len(labels)) // 100


def through_the_gate(labels, candidate, champion, policy: GatePolicy = POLICY) -> Verdict:
    slices = {"half": np.where(np.arange(len(labels)) % 2, "odd", "even")}
    ours, theirs = Scored(candidate, COST.threshold), Scored(champion, COST.threshold)
    found = Evidence(
        candidate=alone(labels, days(labels), ours, 1.0, MARCH + timedelta(days=7), policy),
        behaviour=BEHAVIOUR,
        champion=Champion(release="aaaa", trained_through=MARCH),
        comparison=compare(labels, days(labels), ours, theirs, slices, COST, policy),
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
    rows = np.arange(1_000)
    rare = np.where(np.arange(1_000) < POLICY.slice_minimum - 1, "rare", "common")
    scored = Scored(good, COST.threshold)
    assert set(compare(labels, rows, scored, scored, {"kind": rare}, COST, POLICY).slices["kind"]) == {"common"}


def test_the_evidence_is_that_of_the_tested_statistics() -> None:
    labels, good, other = served(2_000, 0.5, seed=6)
    policy = replace(POLICY, confidence=0.8, slice_minimum=700)
    ours, theirs = Scored(good, 0.25), Scored(other, 0.4)
    kind = np.repeat(["many", "few", "none"], [1_300, 700, 0])
    kind[-1:] = "rare"
    blocks = days(labels)
    found = compare(labels, blocks, ours, theirs, {"kind": kind}, COST, policy)
    new, old = (costs(labels, scored.scores >= scored.threshold, COST) for scored in (ours, theirs))
    assert (found.rows, found.blocks, found.auc) == (2_000, 20, auc_difference(labels, good, other, 0.8, blocks))
    assert found.overall == Difference(cost=mean_difference(new, old, 0.8, blocks), champion_cost=old.mean())
    many = Difference(cost=mean_difference(new[:1_300], old[:1_300], 0.8, blocks[:1_300]), champion_cost=old[:1_300].mean())
    assert found.slices == {"kind": {"many": many}}  # 699 rows are one too few
    lower = replace(policy, slice_minimum=699)
    assert set(compare(labels, blocks, ours, theirs, {"kind": kind}, COST, lower).slices["kind"]) == {"many", "few"}
    stands = alone(labels, blocks, ours, 1.5, MARCH, policy)
    assert (stands.trained_through, stands.rows, stands.blocks, stands.size_mb) == (MARCH, 2_000, 20, 1.5)
    assert (stands.auc, stands.ece) == (auc(labels, good, 0.8, blocks), calibration_interval(labels, good, 0.8, units=blocks))


def test_a_score_at_the_threshold_decides_positive() -> None:
    assert Scored(np.array([0.24, 0.25, 0.26]), 0.25).decisions.tolist() == [False, True, True]


def test_without_rows_there_is_no_cost_nor_a_problem() -> None:
    nobody, nothing, never = np.zeros(0, dtype=bool), Scored(np.zeros(0), 0.25), np.zeros(0, dtype=np.intp)
    assert compare(nobody, never, nothing, nothing, {}, COST, POLICY).overall == Difference(cost=None, champion_cost=None)
    one = compare(np.ones(1, dtype=bool), np.zeros(1, dtype=np.intp), *[Scored(np.zeros(1), 0.25)] * 2, {}, COST, POLICY)
    assert one.overall == Difference(cost=None, champion_cost=3.0)
    assert Evidence(candidate=alone(nobody, never, nothing, 1.0, MARCH, POLICY)).problem == ""


def test_rows_of_one_day_are_counted_and_tell_nothing_of_days() -> None:
    labels, good, other = served(500, 0.5, seed=7)
    today = np.zeros(500, dtype=np.intp)
    found = compare(labels, today, Scored(good, 0.25), Scored(other, 0.25), {"all": np.full(500, "x")}, COST, POLICY)
    assert (found.rows, found.blocks, found.auc, found.overall.cost) == (500, 1, None, None)
    assert found.slices["all"]["x"].cost is None
    assert found.overall.champion_cost is not None
    stands = alone(labels, today, Scored(good, 0.25), 1.0, MARCH, POLICY)
    assert (stands.blocks, stands.auc, stands.ece) == (1, None, None)
    assert through_the_gate(labels[:50], good[:50], good[:50]).outcome is Outcome.INCONCLUSIVE
