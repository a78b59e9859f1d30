from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.policy import RetrainPolicy
from everloop.decide.verdict import Outcome
from everloop.decide.watch.retrain import Window, should_retrain

T0 = datetime(2013, 3, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
POLICY = RetrainPolicy(k=2, n=3, cooldown=timedelta(days=28))
LETTERS = {"p": Outcome.PASS, "F": Outcome.FAIL, "?": Outcome.INCONCLUSIVE, "-": None}


def windows(drift, performance=None, labels=0):
    pairs = zip(drift, performance or "-" * len(drift), strict=True)
    return [
        Window(end=T0 + (i + 1) * WEEK, drift=LETTERS[d], performance=LETTERS[p], labels=labels, because="it moved")
        for i, (d, p) in enumerate(pairs)
    ]


def decide(seen, policy=POLICY, trained_through=T0 - 30 * WEEK, **others):
    return should_retrain(seen, policy, last_trained_through=trained_through, now=T0 + 52 * WEEK, **others)


@pytest.mark.parametrize(
    ("drift", "expected"),
    [
        ("FF", True),
        ("pFF", True),
        ("FpF", True),
        ("FFp", False),
        ("Fpp", False),
        ("F", False),
        ("F??F", False),
        ("?F?", False),
        ("", False),
    ],
)
def test_k_of_n_windows_and_the_latest_must_violate(drift, expected):
    assert decide(windows(drift)).retrain is expected


def test_drift_and_performance_violations_count_together():
    decision = decide(windows("Fp", "pF"))
    assert (decision.retrain, decision.triggers) == (True, ("drift", "performance"))
    assert decision.reason == "drift and performance in 2 of the last 2 windows, the latest too: it moved"


def test_within_the_cooldown_of_what_was_learnt_nothing_is_asked():
    decision = decide(windows("FFF"), trained_through=T0)
    assert not decision.retrain
    assert decision.reason == (
        "cooling down: the champion has learnt through 2013-03-01, 7 days of data to go (latest: it moved)"
    )
    assert decide(windows("FFFF"), trained_through=T0).retrain


def test_windows_that_led_to_a_request_do_not_count_again():
    assert not decide(windows("FFF"), last_wanted=T0 + 2 * WEEK).retrain
    assert decide(windows("FFFF"), last_wanted=T0 + 2 * WEEK).retrain


def test_enough_new_labels_ask_for_a_model_without_any_violation():
    wanting = RetrainPolicy(new_labels=1000)
    assert decide(windows("ppp", labels=400), wanting).triggers == ("labels",)
    assert not decide(windows("pp", labels=400), wanting).retrain


def test_windows_after_now_are_not_seen():
    decision = should_retrain(windows("FF"), POLICY, last_trained_through=None, now=T0 + WEEK)
    assert (decision.retrain, decision.window) == (False, T0 + WEEK)


@given(st.text("pF?-", max_size=6), st.integers(0, 5), st.integers(-8, 8))
def test_one_more_violation_never_withdraws_a_request(drift, position, weeks):
    if not drift:
        return
    position %= len(drift)
    worse = drift[:position] + "F" + drift[position + 1 :]
    trained = T0 + weeks * WEEK
    assert decide(windows(worse), trained_through=trained).retrain >= decide(windows(drift), trained_through=trained).retrain


@given(st.text("p?-", max_size=8))
def test_windows_without_violation_never_ask(drift):
    assert not decide(windows(drift)).retrain
