from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta

import pytest

from decide.release.gate.candidates import MARCH, POLICY, compared, difference, estimate, evidence, outcome
from everloop.decide.policy import ExpectedLoss
from everloop.decide.release.gate import Difference, judge
from everloop.decide.release.gate.comparison import against_champion, fresh
from everloop.decide.release.gate.expected_loss import decide
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


def reason(found, check: str, policy=POLICY) -> Reason:
    return next(one for one in against_champion(found, policy) if one.check == check)


def test_a_refusal_for_lack_of_evidence_says_what_these_rows_could_show_and_how_many_it_takes() -> None:
    few = compared(rows=700, auc=estimate(0.0, 0.02, 700), overall=Difference(cost=estimate(0.0, 0.05, 700), champion_cost=0.5))
    found = replace(few, rows_per_week=350)
    assert reason(found, "gate.comparison").text == "700 rows of 21 days to judge on, at least 1,000 wanted (3 weeks)"
    auc = reason(found, "gate.auc")
    assert auc.text == (
        "AUC minus champion's 0.0000 [-0.0200, 0.0200] on 700 rows of 21 days, at least -0.005 wanted; 700 rows can "
        "show a margin of 0.0286, "
        "a margin of 0.005 takes about 23,000 rows (66 weeks)"
    )
    cost = reason(found, "gate.cost")
    assert cost.text == (
        "cost per row minus champion's 0.0000 [-0.0500, 0.0500] on 700 rows of 21 days, at most 0.0100 wanted (2% of 0.5000); "
        "700 rows can show a margin of 14.3%, a margin of 2.0% takes about 36,000 rows (100 weeks)"
    )
    assert cost.numbers["shows"] == pytest.approx(0.1429, abs=1e-4)
    assert cost.numbers["weeks_wanted"] == cost.numbers["rows_wanted"] / 350
    assert reason(few, "gate.cost").text.endswith("takes about 36,000 rows")
    # What they can show is how far the interval reaches, wherever its middle lies.
    dearer = compared(rows=700, overall=Difference(cost=estimate(0.02, 0.05, 700), champion_cost=0.5))
    assert reason(dearer, "gate.cost").numbers["shows"] == cost.numbers["shows"]


def test_a_pass_or_a_failure_says_nothing_of_what_could_be_shown() -> None:
    for cost in (-0.02, 0.2):
        assert reason(compared(overall=difference(cost)), "gate.cost").numbers.keys() == {
            "value", "low", "high", "rows", "units", "freedom", "limit", "margin",
        }  # fmt: skip


def test_a_champion_that_costs_nothing_has_no_share_to_lose() -> None:
    free = compared(overall=difference(0.0, champion_cost=0.0), blocks=20)
    assert reason(free, "gate.cost").outcome is Outcome.INCONCLUSIVE
    assert "rows_wanted" not in reason(free, "gate.cost").numbers
    assert reason(free, "gate.cost", SMALL) == Reason(
        "gate.cost", Outcome.INCONCLUSIVE, "the champion costs nothing on the shared rows: no share of it can be lost"
    )


SMALL = replace(POLICY, decide_by=ExpectedLoss())


def test_by_expected_loss_a_promising_candidate_passes_that_the_margin_cannot_show() -> None:
    promising = compared(rows=700, blocks=20, auc=estimate(0.0, 0.02, 700), overall=difference(-0.03, half=0.04))
    assert not judge(promising, POLICY).passed
    verdict = judge(promising, SMALL)
    assert verdict.passed
    assert [one.check for one in verdict.reasons][-5:] == [
        "gate.comparison", "gate.blocks", "gate.auc", "gate.cost", "gate.slice.carrier",
    ]  # fmt: skip


def test_by_expected_loss_the_standard_error_is_that_of_the_interval_as_a_share_of_the_champions_cost() -> None:
    found = reason(
        compared(blocks=20, overall=Difference(cost=estimate(-0.03, 0.04, 700), champion_cost=0.4)), "gate.cost", SMALL
    )
    assert found.numbers["difference"] == pytest.approx(-0.075)
    assert found.numbers["error"] == pytest.approx(0.04 / 1.959964 / 0.4)
    assert (
        found.numbers | decide(found.numbers["difference"], found.numbers["error"], SMALL, ExpectedLoss()).numbers()
        == found.numbers
    )
    assert found.text == (
        "cost per row minus champion's -0.0300 [-0.0700, 0.0100] on 5,000 rows of 20 days (-7.5% of 0.4000): expected loss "
        "0.28% of the champion's cost, at most 0.50% wanted; worse by more than 2% with probability 6%, at most 10% wanted"
    )


def test_by_expected_loss_too_little_evidence_says_what_would_be_let_on() -> None:
    found = replace(compared(blocks=20, overall=difference(0.0, half=0.05)), rows_per_week=750)
    assert reason(found, "gate.cost", SMALL).text.endswith(
        "at most 10% wanted; 5,000 rows let on an improvement of 9.6%, one of 5.0% takes about 12,000 rows (16 weeks)"
    )
    numbers = reason(found, "gate.cost", SMALL).numbers
    assert (numbers["shows"], numbers["weeks_wanted"]) == (pytest.approx(0.096, abs=5e-4), numbers["rows_wanted"] / 750)
    assert (numbers["value"], numbers["difference"], numbers["risk"]) == (0.0, 0.0, 0.005)
    many = reason(compared(blocks=20, overall=difference(0.002, half=0.02)), "gate.cost", SMALL)
    assert many.outcome is Outcome.INCONCLUSIVE
    assert many.text.endswith("; 5,000 rows let on an improvement of 2.4%")


@pytest.mark.parametrize(("blocks", "expected"), [(0, Outcome.INCONCLUSIVE), (9, Outcome.INCONCLUSIVE), (10, Outcome.PASS)])
def test_by_expected_loss_rows_must_be_of_enough_blocks_of_time(blocks: int, expected: Outcome) -> None:
    found = reason(compared(blocks=blocks), "gate.blocks", SMALL)
    assert found.outcome is expected
    assert found.text == f"rows of {blocks} blocks of time to judge on, at least 10 wanted"
    assert found.numbers == {"blocks": blocks, "minimum": 10}


@pytest.mark.parametrize(("rows", "expected"), [(299, Outcome.INCONCLUSIVE), (300, Outcome.PASS)])
def test_by_expected_loss_the_least_rows_are_its_own(rows: int, expected: Outcome) -> None:
    assert reason(compared(rows=rows), "gate.comparison", SMALL).outcome is expected


def test_by_expected_loss_the_auc_stops_only_what_is_shown_to_rank_worse() -> None:
    unsure = reason(compared(auc=estimate(-0.01, 0.02)), "gate.auc", SMALL)
    assert unsure == Reason(
        "gate.auc", Outcome.PASS, "AUC minus champion's -0.0100 [-0.0300, 0.0100] on 5,000 rows of 21 days, not "
        "shown to be below -0.005",
        {**asdict(estimate(-0.01, 0.02)), "margin": 0.005},
    )  # fmt: skip
    worse = reason(compared(auc=estimate(-0.03, 0.02)), "gate.auc", SMALL)
    assert (worse.outcome, worse.text) == (
        Outcome.FAIL,
        "AUC minus champion's -0.0300 [-0.0500, -0.0100] on 5,000 rows of 21 days, shown to be below -0.005",
    )
    none = reason(compared(auc=None), "gate.auc", SMALL)
    assert (none.outcome, none.text.partition(":")[0]) == (Outcome.INCONCLUSIVE, "no AUC difference on 5,000 rows of 21 days")


@pytest.mark.parametrize("lost", [{"cost": None}, {"champion_cost": None}])
def test_by_expected_loss_half_of_a_cost_difference_is_none_either(lost) -> None:
    assert reason(compared(overall=replace(difference(-0.1), **lost)), "gate.cost", SMALL) == Reason(
        "gate.cost", Outcome.INCONCLUSIVE, "no cost difference on 5,000 rows of 21 days: rows of two blocks of time are the least"
    )
