from __future__ import annotations

import math
from dataclasses import replace

import pytest

from everloop.decide.policy import ExpectedLoss, GatePolicy

SOUND = ExpectedLoss()


def test_the_defaults_hold_together_and_are_no_part_of_the_default_gate() -> None:
    assert SOUND.problems() == []
    assert GatePolicy().decide_by is None
    assert (GatePolicy().least_rows, GatePolicy(decide_by=replace(SOUND, minimum_rows=70)).least_rows) == (1_000, 70)


def test_what_nothing_is_known_of_may_be_expected_to_lose() -> None:
    assert ExpectedLoss(prior=0.1).unseen == pytest.approx(0.1 * 0.39894, abs=1e-5)


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (replace(SOUND, prior=0), "ExpectedLoss.prior is 0: it must be above 0"),
        (
            replace(SOUND, risk=0.02),
            "ExpectedLoss.risk is 0.02: it must lie above 0 and below 0.0199, what a candidate of which nothing is known can be "
            "expected to lose with a prior of 0.05",
        ),
        (replace(SOUND, risk=0), "ExpectedLoss.risk is 0: it must lie above 0"),
        (replace(SOUND, harm=0), "ExpectedLoss.harm is 0: it must lie above 0 and below 0.5"),
        (replace(SOUND, harm=0.5), "ExpectedLoss.harm is 0.5: it must lie above 0 and below 0.5"),
        (replace(SOUND, minimum_rows=0), "ExpectedLoss.minimum_rows is 0: it must be 1 or more"),
        (replace(SOUND, minimum_blocks=1), "ExpectedLoss.minimum_blocks is 1: it must be 2 or more"),
    ],
)
def test_a_policy_that_does_not_hold_together_is_told(policy: ExpectedLoss, told: str) -> None:
    (problem,) = GatePolicy(decide_by=policy).problems()
    assert problem.startswith(told)


def test_least_values_are_allowed() -> None:
    least = ExpectedLoss(prior=0.05, risk=math.nextafter(SOUND.unseen, 0), harm=0.01, minimum_rows=1, minimum_blocks=2)
    assert least.problems() == []
