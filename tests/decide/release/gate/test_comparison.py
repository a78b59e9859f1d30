from __future__ import annotations

from dataclasses import replace

import pytest

from decide.release.gate.candidates import MARCH, POLICY, compared, difference, estimate, evidence, outcome
from everloop.decide.release.gate import Difference, judge
from everloop.decide.verdict import Outcome


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
