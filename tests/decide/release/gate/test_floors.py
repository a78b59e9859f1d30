from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from decide.release.gate.candidates import POLICY, alone_with, estimate, outcome
from everloop.decide.policy import ExpectedLoss
from everloop.decide.release.gate import judge
from everloop.decide.release.gate.floors import floors
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason


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


AUC = Estimate(value=0.72, low=0.7, high=0.75, rows=5_000)
ECE = Estimate(value=0.03, low=0.01, high=0.06, rows=5_000)


def test_what_the_floors_say_is_told_whole() -> None:
    assert floors(alone_with(auc=AUC, ece=ECE, size_mb=0.8).candidate, POLICY) == [
        Reason(
            "gate.rows", Outcome.PASS, "5,000 rows of 21 days to judge on, at least 1,000 wanted",
            {"rows": 5_000, "blocks": 21, "minimum": 1_000},
        ),
        Reason(
            "gate.auc_floor", Outcome.PASS, "AUC 0.7200 [0.7000, 0.7500] on 5,000 rows of 21 days, floor 0.6",
            {**asdict(AUC), "floor": 0.6},
        ),
        Reason(
            "gate.calibration", Outcome.PASS, "calibration error 0.0300 [0.0100, 0.0600] on 5,000 rows of 21 days, ceiling 0.08",
            {**asdict(ECE), "ceiling": 0.08},
        ),
        Reason("gate.size", Outcome.PASS, "model file 0.80 MB, budget 50 MB", {"value": 0.8, "budget": 50.0}),
    ]  # fmt: skip
    auc, calibration = floors(alone_with(auc=None, ece=None, rows=40, blocks=1).candidate, POLICY)[1:3]
    lacking = "no AUC on 40 rows of 1 day: two positives and two negatives, of two blocks of time, are the least"
    assert auc == Reason("gate.auc_floor", Outcome.INCONCLUSIVE, lacking, {"floor": 0.6})
    without = "no calibration error on 40 rows of 1 day: rows of two blocks of time are the least"
    assert calibration == Reason("gate.calibration", Outcome.INCONCLUSIVE, without, {"ceiling": 0.08})


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.6, 0.8, Outcome.PASS), (0.599, 0.8, Outcome.INCONCLUSIVE), (0.5, 0.6, Outcome.INCONCLUSIVE), (0.5, 0.599, Outcome.FAIL)],
)
def test_the_whole_interval_of_the_auc_must_lie_on_one_side_of_the_floor(low: float, high: float, expected: Outcome) -> None:
    auc = Estimate(value=(low + high) / 2, low=low, high=high, rows=5_000)
    assert floors(alone_with(auc=auc).candidate, POLICY)[1].outcome is expected


def test_a_model_file_may_be_as_large_as_its_budget() -> None:
    assert floors(alone_with(size_mb=50.0).candidate, POLICY)[3].outcome is Outcome.PASS


def test_a_floor_that_few_rows_cannot_show_says_which_they_could_and_how_many_it_takes() -> None:
    few = alone_with(rows=300, auc=estimate(0.62, 0.05, 300), ece=estimate(0.06, 0.04, 300)).candidate
    rows, auc, ece, _ = floors(few, POLICY, 75)
    assert rows.text == "300 rows of 21 days to judge on, at least 1,000 wanted (14 weeks)"
    assert auc.text == (
        "AUC 0.6200 [0.5700, 0.6700] on 300 rows of 21 days, floor 0.6; 300 rows can show a floor of 0.549, a floor "
        "of 0.600 takes about "
        "3,800 rows (52 weeks)"
    )
    assert ece.text == (
        "calibration error 0.0600 [0.0200, 0.1000] on 300 rows of 21 days, ceiling 0.08; 300 rows can show a "
        "ceiling of 0.117, a ceiling of 0.080 takes "
        "about 2,500 rows (33 weeks)"
    )
    assert (auc.numbers["floor"], auc.numbers["value"], auc.numbers["shows"]) == (0.6, 0.62, pytest.approx(-0.5485, abs=1e-4))
    assert floors(few, POLICY)[1].text.endswith("takes about 3,800 rows")


def test_an_auc_below_its_floor_takes_another_value_and_not_more_rows() -> None:
    low = floors(alone_with(auc=estimate(0.59, 0.05)).candidate, POLICY)[1]
    assert low.text.endswith("a floor of 0.600 takes another value than this one")
    assert low.numbers["rows_wanted"] is None


def test_by_expected_loss_a_floor_must_be_kept_with_the_probability_that_the_policy_names() -> None:
    small = replace(POLICY, decide_by=ExpectedLoss(harm=0.10))
    # Standard error 0.02: the one-sided 90 % limit lies 1.2816 of it below, the two-sided 95 % one 1.96.
    auc, ece = estimate(0.63, 0.0392), estimate(0.05, 0.0392)
    found = floors(alone_with(rows=300, auc=auc, ece=ece).candidate, small)
    assert [one.outcome for one in found] == [Outcome.PASS] * 4
    assert found[1].numbers["low"] == auc.low  # told as it was measured
    assert [one.outcome for one in floors(alone_with(auc=auc, ece=ece).candidate, POLICY)[1:3]] == [Outcome.INCONCLUSIVE] * 2
    lower = floors(alone_with(auc=estimate(0.6255, 0.0392), ece=estimate(0.0545, 0.0392)).candidate, small)
    assert [one.outcome for one in lower[1:3]] == [Outcome.INCONCLUSIVE] * 2
    assert lower[1].numbers["shows"] == pytest.approx(-0.6255 + (1.2816 + 0.8416) * 0.02, abs=1e-4)


def test_by_expected_loss_a_floor_is_broken_when_that_is_shown_at_the_policys_confidence() -> None:
    small = replace(POLICY, decide_by=ExpectedLoss())
    found = alone_with(auc=estimate(0.57, 0.035), ece=estimate(0.11, 0.035)).candidate
    assert [one.outcome for one in floors(found, small)[1:3]] == [Outcome.INCONCLUSIVE] * 2
    found = alone_with(auc=estimate(0.56, 0.035), ece=estimate(0.12, 0.035)).candidate
    assert [one.outcome for one in floors(found, small)[1:3]] == [Outcome.FAIL] * 2
