from __future__ import annotations

import pytest

from decide.release.gate.candidates import POLICY, alone_with, estimate, outcome
from everloop.decide.release.gate import judge
from everloop.decide.verdict import Outcome


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
