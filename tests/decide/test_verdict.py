from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.verdict import Outcome, Reason, Verdict, combine

PASS, INCONCLUSIVE, ERROR, FAIL = Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.ERROR, Outcome.FAIL
REASONS = st.lists(st.builds(Reason, st.sampled_from(["gate.auc", "gate.cost"]), st.sampled_from(Outcome), st.text(max_size=5)))


def reason(outcome: Outcome, text: str = "") -> Reason:
    return Reason("gate.auc", outcome, text)


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        ([PASS, PASS], PASS),
        ([PASS, INCONCLUSIVE], INCONCLUSIVE),
        ([INCONCLUSIVE, ERROR, PASS], ERROR),
        ([ERROR, FAIL, INCONCLUSIVE], FAIL),
        ([FAIL], FAIL),
    ],
)
def test_the_worst_reason_decides(outcomes: list[Outcome], worst: Outcome) -> None:
    assert combine(reason(outcome) for outcome in outcomes).outcome is worst


@given(REASONS, st.permutations(range(4)))
def test_the_order_of_reasons_does_not_matter_and_none_is_lost(reasons: list[Reason], order: list[int]) -> None:
    shuffled = [reasons[i] for i in order if i < len(reasons)] + reasons[4:]
    assert combine(shuffled).outcome is combine(reasons).outcome
    assert not reasons or combine(reasons).reasons == tuple(reasons)


def test_no_check_at_all_is_an_error_that_says_so() -> None:
    verdict = combine([])
    assert (verdict.outcome, verdict.passed) == (ERROR, False)
    assert verdict.to_json()["reasons"] == [
        {
            "check": "verdict.evidence",
            "outcome": "error",
            "text": "no check was made, and absent evidence never passes",
            "numbers": {},
        }
    ]


@pytest.mark.parametrize("outcome", Outcome)
def test_only_a_pass_passes(outcome: Outcome) -> None:
    assert Verdict(outcome, (reason(outcome),)).passed is (outcome is PASS)


def test_the_reasons_that_decided_are_the_ones_that_are_told() -> None:
    verdict = combine([reason(FAIL, "AUC fell"), reason(PASS, "small enough"), reason(FAIL, "cost rose")])
    assert verdict.because() == "AUC fell; cost rose"


def test_as_json_it_carries_every_reason_with_its_numbers() -> None:
    verdict = combine([Reason("gate.auc", PASS, "AUC 0.7", {"value": 0.7}), Reason("gate.size", PASS, "3 MB")])
    assert verdict.to_json() == {
        "outcome": "pass",
        "reasons": [
            {"check": "gate.auc", "outcome": "pass", "text": "AUC 0.7", "numbers": {"value": 0.7}},
            {"check": "gate.size", "outcome": "pass", "text": "3 MB", "numbers": {}},
        ],
    }
