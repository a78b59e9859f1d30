from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta

import pytest

from decide.release.gate.candidates import MARCH, POLICY, compared, difference, estimate, evidence, outcome
from everloop.decide.release.gate import Difference, judge
from everloop.decide.release.gate.comparison import against_champion, fresh
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason


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


AUC = Estimate(value=0.01, low=0.002, high=0.02, rows=5_000)
COST = Estimate(value=-0.02, low=-0.03, high=-0.005, rows=5_000)


def test_what_a_comparison_says_is_told_whole() -> None:
    found = compared(auc=AUC, overall=Difference(cost=COST, champion_cost=0.5), slices={})
    assert against_champion(found, POLICY) == [
        Reason(
            "gate.comparison", Outcome.PASS, "5,000 rows of 21 days to judge on, at least 1,000 wanted",
            {"rows": 5_000, "blocks": 21, "minimum": 1_000},
        ),
        Reason(
            "gate.auc", Outcome.PASS,
            "AUC minus champion's 0.0100 [0.0020, 0.0200] on 5,000 rows of 21 days, at least -0.005 wanted",
            {**asdict(AUC), "margin": 0.005},
        ),
        Reason(
            "gate.cost", Outcome.PASS,
            "cost per row minus champion's -0.0200 [-0.0300, -0.0050] on 5,000 rows of 21 days, "
            "at most 0.0100 wanted (2% of 0.5000)",
            {**asdict(COST), "limit": 0.01, "margin": 0.02},
        ),
    ]  # fmt: skip
    lacking = compared(rows=300, blocks=1, auc=None, overall=Difference(cost=None, champion_cost=None), slices={})
    needed = "two positives and two negatives, of two blocks of time, are the least"
    assert against_champion(lacking, POLICY)[1:] == [
        Reason("gate.auc", Outcome.INCONCLUSIVE, f"no AUC difference on 300 rows of 1 day: {needed}"),
        Reason(
            "gate.cost",
            Outcome.INCONCLUSIVE,
            "no cost difference on 300 rows of 1 day: rows of two blocks of time are the least",
        ),
    ]
    silent = replace(evidence(), comparison=None)
    assert against_champion(silent, POLICY) == [
        Reason("gate.comparison", Outcome.ERROR, "candidate and champion were not compared")
    ]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.005, 0.1, Outcome.PASS),
        (-0.006, 0.1, Outcome.INCONCLUSIVE),
        (-0.1, -0.005, Outcome.INCONCLUSIVE),
        (-0.1, -0.006, Outcome.FAIL),
    ],
)
def test_the_whole_interval_of_the_auc_difference_must_lie_on_one_side_of_the_margin(low, high, expected: Outcome) -> None:
    found = compared(auc=Estimate(value=(low + high) / 2, low=low, high=high, rows=5_000))
    assert outcome(judge(found, POLICY), "gate.auc") is expected


@pytest.mark.parametrize("lost", [{"cost": None}, {"champion_cost": None}])
def test_half_of_a_cost_difference_is_none(lost) -> None:
    found = compared(overall=replace(difference(-0.1), **lost))
    assert outcome(judge(found, POLICY), "gate.cost") is Outcome.INCONCLUSIVE


def test_how_new_a_candidate_is_is_told_whole() -> None:
    found = evidence()
    assert found.champion is not None
    numbers = {"candidate": "2013-04-12T00:00:00+00:00", "champion": "2013-03-15T00:00:00+00:00"}
    text = "trained through 2013-04-12 00:00, champion aaaa through 2013-03-15 00:00"
    assert fresh(found.candidate, found.champion) == Reason("gate.stale", Outcome.PASS, text, numbers)
    old = replace(found.candidate, trained_through=MARCH - timedelta(hours=1))
    stale = fresh(old, found.champion)
    assert stale.text == "stale: trained through 2013-03-14 23:00, champion aaaa through 2013-03-15 00:00"
    assert (stale.check, stale.outcome) == ("gate.stale", Outcome.FAIL)
