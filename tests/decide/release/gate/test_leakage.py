from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from decide.release.gate.candidates import POLICY, alone_with, estimate, outcome
from everloop.decide.release.gate import judge
from everloop.decide.release.gate.leakage import CHECK, NAMED, leaks
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome

USUAL = {"weather__wind": estimate(0.61, 0.01), "carrier": estimate(0.58, 0.01)}
LEAK = Estimate(value=0.996, low=0.991, high=1.0, rows=5_000)


def candidate(**changes):
    return alone_with(**changes).candidate


@pytest.mark.parametrize(
    ("auc", "expected"),
    [
        (Estimate(value=0.97, low=0.96, high=0.98, rows=500), Outcome.PASS),
        (Estimate(value=0.995, low=0.985, high=1.0, rows=500), Outcome.PASS),
        (Estimate(value=0.995, low=0.99, high=1.0, rows=500), Outcome.PASS),
        (Estimate(value=0.995, low=0.9901, high=1.0, rows=500), Outcome.FAIL),
        (Estimate(value=1.0, low=1.0, high=1.0, rows=500), Outcome.FAIL),
    ],
)
def test_an_auc_shown_to_lie_above_the_ceiling_fails(auc: Estimate, expected: Outcome) -> None:
    (reason,) = leaks(candidate(auc=auc), USUAL, POLICY)
    assert (reason.check, reason.outcome) == (CHECK, expected)
    assert reason.numbers["alone"] == {name: asdict(one) for name, one in USUAL.items()}
    assert (reason.numbers["value"], reason.numbers["ceiling"]) == (auc.value, 0.99)


def test_it_names_the_inputs_that_say_most_alone_and_what_to_do() -> None:
    many = {f"view__{i}": estimate(0.5 + i / 20, 0.01) for i in range(6)}
    (reason,) = leaks(candidate(auc=LEAK), many, POLICY)
    assert reason.text == (
        "AUC 0.9960 [0.9910, 1.0000] is above 0.99, so near 1 that the label is probably known in an input (AUC of the strongest "
        "alone: view__5 0.7500 [0.7400, 0.7600]; view__4 0.7000 [0.6900, 0.7100]; view__3 0.6500 [0.6400, 0.6600]): look which "
        "input is only known after the prediction, and leave it out, or raise GatePolicy.auc_ceiling"
    )
    assert list(reason.numbers["alone"]) == ["view__5", "view__4", "view__3"]
    assert len(reason.numbers["alone"]) == NAMED


def test_without_a_word_on_the_inputs_the_auc_is_judged_all_the_same() -> None:
    (reason,) = leaks(candidate(auc=LEAK), {}, POLICY)
    assert reason.outcome is Outcome.FAIL
    assert "is probably known in an input: look which input" in reason.text


def test_one_input_that_says_all_alone_fails_though_the_candidate_does_not() -> None:
    (reason,) = leaks(candidate(auc=estimate(0.98, 0.005)), USUAL | {"closed__delay": LEAK}, POLICY)
    assert reason.outcome is Outcome.FAIL
    assert reason.text.startswith("the AUC of closed__delay alone is above 0.99, so near 1")
    (just,) = leaks(candidate(auc=replace(LEAK, low=0.99)), {"closed__delay": LEAK}, POLICY)
    assert just.text.startswith("the AUC of closed__delay alone is above 0.99")


def test_an_input_that_is_shown_to_say_all_fails_among_more_of_which_it_is_not_shown() -> None:
    unsure = {f"view__{i}": replace(LEAK, value=0.999, low=0.5) for i in range(NAMED)}
    (reason,) = leaks(candidate(), unsure | {"closed__delay": LEAK}, POLICY)
    assert reason.outcome is Outcome.FAIL
    assert reason.text.startswith("the AUC of closed__delay alone is above 0.99")


def test_as_many_inputs_that_say_all_are_named_as_are_told() -> None:
    (reason,) = leaks(candidate(), {f"view__{i}": LEAK for i in range(6)}, POLICY)
    assert reason.text.startswith("the AUC of view__0, view__1, view__2 alone is above 0.99")


def test_an_input_that_is_not_shown_to_say_all_passes() -> None:
    (reason,) = leaks(candidate(), {"closed__delay": replace(LEAK, low=0.99)}, POLICY)
    assert reason.outcome is Outcome.PASS
    assert reason.text.endswith("not shown above 0.99, from where on a leak is likely")


def test_without_a_ceiling_or_without_an_auc_nothing_is_said() -> None:
    assert leaks(candidate(auc=LEAK), {"closed__delay": LEAK}, replace(POLICY, auc_ceiling=None)) == []
    assert leaks(candidate(auc=None), USUAL, POLICY) == []


def test_a_leak_stops_a_first_release() -> None:
    verdict = judge(replace(alone_with(), alone={"closed__delay": LEAK}), POLICY)
    assert (outcome(verdict, CHECK), verdict.outcome) == (Outcome.FAIL, Outcome.FAIL)
