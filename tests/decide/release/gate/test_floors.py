from __future__ import annotations

from dataclasses import asdict

import pytest

from decide.release.gate.candidates import POLICY, alone_with, estimate, outcome
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
