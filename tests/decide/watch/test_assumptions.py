from dataclasses import asdict

import numpy as np
import pytest

from everloop.decide.verdict import Outcome, Reason, Verdict, combine
from everloop.decide.watch.assumptions import checked, weigh
from everloop.decide.watch.concept import FEW

SCORES = np.linspace(0.1, 0.8, 100)
SPAN = (0.05, 0.9)


def verdict(outcome, text="it moved"):
    return combine([Reason("x", outcome, text)])


SOUND = {"span": SPAN, "drift": verdict(Outcome.PASS), "strangers": {}, "relation": verdict(Outcome.PASS)}


@pytest.mark.parametrize("measured", list(Outcome))
def test_what_is_estimated_counts_while_every_assumption_holds(measured):
    found = weigh(verdict(measured), checked(SCORES, **SOUND))
    assert found.outcome is measured


@pytest.mark.parametrize("measured", list(Outcome))
@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"span": (0.2, 0.9)}, "of the scores lie outside of [0.200, 0.900]"),
        ({"span": None}, "does not say"),
        ({"drift": verdict(Outcome.FAIL, "5 of 9 columns moved")}, "5 of 9 columns moved"),
        ({"drift": verdict(Outcome.INCONCLUSIVE, "too few rows")}, "too few rows"),
        ({"drift": None}, "was not measured"),
        ({"strangers": {"carrier": 0.4}}, "carrier 40%"),
        ({"relation": verdict(Outcome.FAIL, "labels lie above the scores")}, "labels lie above the scores"),
        ({"relation": None}, "no label shows"),
        ({"relation": combine([Reason(FEW, Outcome.INCONCLUSIVE, "9 labels are too few")])}, "9 labels are too few"),
    ],
)
def test_one_broken_assumption_makes_any_verdict_inconclusive_and_says_why(measured, broken, told):
    found = weigh(verdict(measured, "AUC fell"), checked(SCORES, **(SOUND | broken)))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert told in found.because()


def test_a_few_scores_beyond_the_held_out_ones_are_to_be_expected():
    assert weigh(verdict(Outcome.PASS), checked(np.append(SCORES, 0.95), **SOUND)).passed
    assert not weigh(verdict(Outcome.PASS), checked(np.append(SCORES, [0.95] * 3), **SOUND)).passed


def test_labels_that_do_not_show_whether_scores_are_off_speak_against_nothing():
    unsure = combine([Reason("concept.bias", Outcome.INCONCLUSIVE, "0.02 [-0.1, 0.14]"), Reason("x", Outcome.PASS, "-")])
    found = checked(SCORES, **(SOUND | {"relation": unsure}))[-1]
    assert (found.check, found.outcome, found.numbers) == ("estimate.relation", Outcome.PASS, {"outcome": "inconclusive"})


def test_no_score_supports_nothing():
    assert not weigh(verdict(Outcome.PASS), checked(np.array([]), **SOUND)).passed


def test_every_assumption_is_told_the_passed_ones_too():
    found = weigh(Verdict(Outcome.PASS, ()), checked(SCORES, **SOUND))
    assert [reason.check for reason in found.reasons] == [
        "estimate.range", "estimate.inputs", "estimate.categories", "estimate.relation",
    ]  # fmt: skip


def told(**changes):
    return {reason.check: asdict(reason) for reason in checked(SCORES, **(SOUND | changes))}


def test_what_holds_is_told_in_words_and_numbers():
    assert told() == {
        "estimate.range": {
            "check": "estimate.range",
            "outcome": "pass",
            "text": "0.0% of the scores lie outside of [0.050, 0.900], where calibration was checked; 1% may",
            "numbers": {"share": 0.0, "low": 0.05, "high": 0.9, "limit": 0.01},
        },
        "estimate.inputs": {
            "check": "estimate.inputs",
            "outcome": "pass",
            "text": "inputs and scores are those that were learnt",
            "numbers": {"outcome": "pass"},
        },
        "estimate.categories": {
            "check": "estimate.categories",
            "outcome": "pass",
            "text": "the model knows the values of every category",
            "numbers": {"unknown": {}},
        },
        "estimate.relation": {
            "check": "estimate.relation",
            "outcome": "pass",
            "text": "the latest labels do not speak against the scores",
            "numbers": {"outcome": "pass"},
        },
    }


def test_what_does_not_hold_is_told_in_words_and_numbers():
    found = told(
        span=None, drift=None, strangers={"carrier": 0.4, "dest": 0.2}, relation=verdict(Outcome.FAIL, "labels lie apart")
    )
    assert [(each["outcome"], each["text"], each["numbers"]) for each in found.values()] == [
        ("inconclusive", "the release does not say which scores its calibration was checked on: train it again", {}),
        ("inconclusive", "the window's drift was not measured", {}),
        (
            "inconclusive",
            "values that the model does not know: carrier 40%, dest 20%",
            {"unknown": {"carrier": 0.4, "dest": 0.2}},
        ),
        ("inconclusive", "labels lie apart", {"outcome": "fail"}),
    ]
    assert told(relation=None)["estimate.relation"]["text"] == "no label shows the relation yet"
    assert list(found) == list(told())


def test_scores_at_the_ends_lie_inside_and_a_share_at_the_limit_is_allowed():
    ends = np.array([0.05, 0.9] * 50)
    assert checked(ends, **SOUND)[0].numbers["share"] == 0
    assert checked(np.append(np.full(99, 0.5), 0.95), **SOUND)[0].outcome is Outcome.PASS
    assert checked(np.array([]), **SOUND)[0].numbers["share"] == 1
