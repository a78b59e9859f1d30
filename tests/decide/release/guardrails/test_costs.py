from dataclasses import replace

import numpy as np
import pytest

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release import guardrails
from everloop.decide.release.evidence import ExpectedCosts, PairedCosts
from everloop.decide.statistics.bets import mean_at_least
from everloop.decide.statistics.intervals import mean_sequence
from everloop.decide.verdict import Outcome

POLICY = RolloutPolicy(minimum_requests=100, shadow_requests=200, minimum_labels=200)
RANK = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL]


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


def test_the_estimated_cost_is_told_and_judged_only_by_a_margin():
    rng = np.random.default_rng(5)
    old = rng.random(3000)
    found = ExpectedCosts.of(old + 0.2, old)
    assert guardrails.estimated_cost(found, POLICY, 0.01).outcome is Outcome.INCONCLUSIVE
    judging = replace(POLICY, estimated_cost_margin=0.1)
    assert guardrails.estimated_cost(found, judging, 0.01).outcome is Outcome.FAIL
    assert guardrails.estimated_cost(ExpectedCosts.of(old, old), judging, 0.01).outcome is Outcome.PASS
    assert guardrails.estimated_cost(ExpectedCosts(), judging, 0.01).outcome is Outcome.INCONCLUSIVE


def test_the_labelled_cost_is_told_whole():
    few = guardrails.labelled_cost(PairedCosts.of(np.ones(199), np.ones(199)), POLICY, 0.01, 500)
    assert (few.check, few.outcome, few.numbers) == ("rollout.cost", Outcome.INCONCLUSIVE, {"labels": 199})
    assert few.text == "199 labels of rows that both releases scored, 200 wanted to judge cost"
    paired = PairedCosts.of(np.ones(400), np.zeros(400), 3.0)
    worse = guardrails.labelled_cost(paired, POLICY, 0.01, 500)
    low = mean_at_least(np.array([1.0]), np.array([400.0]), -1.02 * 3, 0.01)
    high = -mean_at_least(np.array([-1.0]), np.array([400.0]), -3.0, 0.01)
    assert (worse.check, worse.outcome) == ("rollout.cost", Outcome.FAIL)
    assert worse.numbers == {
        "labels": 400, "effective_labels": 400, "entities": 0, "blocks": 0, "required": 500, "cost": 1.0, "baseline_cost": 0.0,
        "excess": 1.0, "low": low, "high": high, "margin": 0.02, "cells": ((1.0, 0.0, 400),),
    }  # fmt: skip
    assert worse.text == (
        f"cost 1.0000 a row against 0.0000 on 400 same labelled rows (2% more allowed; beyond that {low:+.4f} to {high:+.4f})"
    )
    even = PairedCosts.of(np.ones(400), np.ones(400), 3.0)
    fine, early = (guardrails.labelled_cost(even, POLICY, 0.01, required) for required in (400, 401))
    assert (fine.check, fine.outcome, fine.numbers["excess"]) == ("rollout.cost", Outcome.PASS, pytest.approx(-0.02))
    assert fine.text.startswith("cost 1.0000 a row against 1.0000 on 400 same labelled rows (2% more allowed; beyond that -")
    assert (early.check, early.outcome, early.text) == ("rollout.cost", Outcome.INCONCLUSIVE, fine.text)
    undemanding = replace(POLICY, minimum_labels=0)
    two, one = (PairedCosts.of(np.ones(n), np.ones(n), 3.0) for n in (2, 1))
    assert guardrails.labelled_cost(two, undemanding, 0.01, 2).outcome is Outcome.PASS
    assert guardrails.labelled_cost(one, undemanding, 0.01, 1).text.endswith("2 wanted to judge cost")


def test_labels_of_one_entity_and_of_one_day_count_for_what_they_are_worth():
    """Ten days of forty labels, dearer on every other day: of as many independent rows that is beyond doubt, of ten days not."""
    day, user = np.repeat(np.arange(10), 40), np.repeat(np.arange(20), 20)
    new, old = np.where(day % 2, 1.0, 0.0), np.where(np.arange(400) % 5, 0.0, 1.0)
    alone = PairedCosts.of(new, old, 3.0)
    assert guardrails.labelled_cost(alone, POLICY, 0.01, 500).outcome is Outcome.FAIL
    for units in ({"blocks": day}, {"entities": user, "blocks": day}):
        together = PairedCosts.of(new, old, 3.0, **units)
        reason = guardrails.labelled_cost(together, POLICY, 0.01, 500)
        assert reason.outcome is Outcome.INCONCLUSIVE
        values, counts = together.excess(1.02)
        effective = counts / together.design_effect(1.02, 0.01)
        assert reason.numbers["effective_labels"] == pytest.approx(effective.sum())
        assert reason.numbers["low"] == mean_at_least(values, effective, -1.02 * 3, 0.01)
        assert reason.numbers["high"] == -mean_at_least(-values, effective, -3.0, 0.01)
    assert (reason.numbers["labels"], reason.numbers["entities"], reason.numbers["blocks"]) == (400, 20, 10)


@pytest.mark.parametrize("new", [0.0, 1.0, 3.0])
def test_labels_of_one_day_are_no_evidence_of_another(new):
    day = np.zeros(900, dtype=int)
    one_day = PairedCosts.of(np.full(900, new), np.ones(900), 3.0, entities=np.arange(900), blocks=day)
    reason = guardrails.labelled_cost(one_day, POLICY, 0.01, 500)
    assert (reason.outcome, reason.numbers["effective_labels"]) == (Outcome.INCONCLUSIVE, 0)
    assert (reason.numbers["low"], reason.numbers["high"]) == (-1.02 * 3, 3.0)
    assert reason.text.endswith(
        "(2% more allowed; beyond that -3.0600 to +3.0000): all of one block of time, which tells nothing of another"
    )
    two_days = PairedCosts.of(np.full(900, 1.0), np.ones(900), 3.0, entities=np.arange(900), blocks=np.arange(900) // 450)
    assert guardrails.labelled_cost(two_days, POLICY, 0.01, 500).outcome is Outcome.PASS


def test_decisions_that_cost_nothing_do_no_harm():
    free = PairedCosts.of(np.zeros(400), np.zeros(400))
    assert guardrails.labelled_cost(free, POLICY, 0.01, 400).outcome is Outcome.PASS


def test_the_expected_cost_is_told_whole():
    nothing = guardrails.estimated_cost(ExpectedCosts(), POLICY, 0.01)
    assert (nothing.check, nothing.text) == ("rollout.estimated_cost", "no row was scored by both releases yet")
    assert (nothing.outcome, nothing.numbers) == (Outcome.INCONCLUSIVE, {"rows": 0})
    new, old = np.linspace(0.4, 0.8, 300), np.linspace(0.2, 0.4, 300)
    found = ExpectedCosts.of(new, old)
    told = guardrails.estimated_cost(found, POLICY, 0.01)
    words = "before labels, cost 0.6000 a row is expected against 0.3000 on 300 same rows"
    assert (told.check, told.outcome, told.text) == (
        "rollout.estimated_cost", Outcome.INCONCLUSIVE, f"{words} (told, not judged)",
    )  # fmt: skip
    low, high = mean_sequence((new - old).mean(), (new - old).var(ddof=1), 300, 0.01, 200)
    assert told.numbers == {
        "rows": 300, "cost": found.candidate, "baseline_cost": found.baseline, "low": pytest.approx(low),
        "high": pytest.approx(high), "margin": None,
    }  # fmt: skip
    judged = guardrails.estimated_cost(found, replace(POLICY, estimated_cost_margin=0.1), 0.01)
    excess = new - 1.1 * old
    assert (judged.check, judged.outcome, judged.text) == (
        "rollout.estimated_cost", Outcome.FAIL, f"{words}, 10% more allowed",
    )  # fmt: skip
    assert judged.numbers["low"] == pytest.approx(mean_sequence(excess.mean(), excess.var(ddof=1), 300, 0.01, 200).low)
    assert judged.numbers["margin"] == 0.1
    lax = guardrails.estimated_cost(found, replace(POLICY, estimated_cost_margin=1.0), 0.01)
    assert (lax.check, lax.outcome, lax.text) == ("rollout.estimated_cost", Outcome.PASS, words)
    assert (lax.numbers["rows"], lax.numbers["margin"]) == (300, 1.0)


def test_expected_costs_of_days_that_move_together_are_less_sure():
    rng, day = np.random.default_rng(3), np.repeat(np.arange(20), 20)
    new = 0.5 + 0.4 * rng.normal(size=20)[day] + 0.1 * rng.normal(size=400)
    old = np.full(400, 0.25)
    judging = replace(POLICY, estimated_cost_margin=0.0)
    assert guardrails.estimated_cost(ExpectedCosts.of(new, old), judging, 0.01).outcome is Outcome.FAIL
    together = ExpectedCosts.of(new, old, entities=np.arange(400), blocks=day)
    reason = guardrails.estimated_cost(together, judging, 0.01)
    mean, variance = together.excess(1.0)
    spread = variance * together.design_effect(1.0, 0.01)
    assert reason.outcome is not Outcome.FAIL
    assert (reason.numbers["low"], reason.numbers["high"]) == mean_sequence(mean, spread, 400, 0.01, 200)


def test_expected_costs_of_one_day_are_not_known_to_hold_on_another():
    old = np.linspace(0.2, 0.4, 300)
    for new in (old, old + 0.5):
        one_day = ExpectedCosts.of(new, old, blocks=np.zeros(300, dtype=int))
        reason = guardrails.estimated_cost(one_day, replace(POLICY, estimated_cost_margin=0.1), 0.01)
        assert (reason.outcome, reason.numbers["low"], reason.numbers["high"]) == (Outcome.INCONCLUSIVE, -np.inf, np.inf)


def test_the_expected_cost_passes_only_with_enough_rows_and_within_the_margin():
    lax = replace(POLICY, estimated_cost_margin=0.5)
    alike = np.linspace(0.2, 0.4, 199)
    assert guardrails.estimated_cost(ExpectedCosts.of(alike, alike), lax, 0.01).outcome is Outcome.INCONCLUSIVE
    one_more = np.linspace(0.2, 0.4, 200)
    assert guardrails.estimated_cost(ExpectedCosts.of(one_more, one_more), lax, 0.01).outcome is Outcome.PASS
    rng = np.random.default_rng(1)
    noisy = ExpectedCosts.of(rng.random(300) * 3, np.full(300, 0.95))
    assert guardrails.estimated_cost(noisy, lax, 0.01).outcome is Outcome.INCONCLUSIVE
    free = replace(lax, shadow_requests=0)
    assert guardrails.estimated_cost(ExpectedCosts.of(alike[:2], alike[:2]), free, 0.01).outcome is Outcome.PASS
