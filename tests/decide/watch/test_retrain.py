from dataclasses import replace
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


def windows(drift, performance=None, labels=0, estimate=None):
    letters = zip(drift, performance or "-" * len(drift), estimate or "-" * len(drift), strict=True)
    return [
        Window(
            end=T0 + (i + 1) * WEEK,
            drift=LETTERS[d],
            performance=LETTERS[p],
            estimate=LETTERS[e],
            labels=labels,
            because="it moved",
        )
        for i, (d, p, e) in enumerate(letters)
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
    assert decision.reason == (
        "drift and performance in 2 of the last 2 windows, the latest too: "
        "drift until 2013-03-08 00:00Z (it moved); performance until 2013-03-15 00:00Z (it moved)"
    )


def test_a_yes_tells_every_violating_window_with_its_measures_and_no_other():
    decision = decide(windows("FpF", "ppF"))
    assert decision.reason == (
        "drift and performance in 2 of the last 3 windows, the latest too: "
        "drift until 2013-03-08 00:00Z (it moved); drift and performance until 2013-03-22 00:00Z (it moved)"
    )
    assert decision.window == T0 + 3 * WEEK


def test_a_window_without_words_is_told_by_its_measures_alone():
    seen = [replace(window, because="") for window in windows("FF")]
    assert decide(seen).reason.endswith("the latest too: drift until 2013-03-08 00:00Z; drift until 2013-03-15 00:00Z")


def test_without_a_window_it_says_so():
    assert decide([]).reason == "no window has been measured for the champion"


def test_a_no_tells_how_many_windows_violate_and_what_the_latest_shows():
    assert decide(windows("ppF")).reason == (
        "1 of the last 3 windows violate, 2 of 3 and the latest are needed (latest: drift until 2013-03-22 00:00Z (it moved))"
    )
    assert decide(windows("FpFp")).reason == "1 of the last 3 windows violate, 2 of 3 and the latest are needed"


def test_within_the_cooldown_of_what_was_learnt_nothing_is_asked():
    decision = decide(windows("FFF"), trained_through=T0)
    assert not decision.retrain
    assert decision.reason == (
        "cooling down: the champion has learnt through 2013-03-01, 7 days of data to go "
        "(latest: drift until 2013-03-22 00:00Z (it moved))"
    )
    assert decision.window == T0 + 3 * WEEK
    assert decide(windows("FFFF"), trained_through=T0).retrain


def test_windows_that_led_to_a_request_do_not_count_again():
    assert not decide(windows("FFF"), last_wanted=T0 + 2 * WEEK).retrain
    assert decide(windows("FFFF"), last_wanted=T0 + 2 * WEEK).retrain


def test_enough_new_labels_ask_for_a_model_without_any_violation():
    wanting = RetrainPolicy(new_labels=1200)
    decision = decide(windows("ppp", labels=400), wanting)
    assert (decision.triggers, decision.reason) == (("labels",), "1200 new labels in 3 windows, 1200 wanted")
    assert decision.window == T0 + 3 * WEEK
    assert not decide(windows("pp", labels=400), wanting).retrain
    assert not decide(windows("pppp", labels=400), wanting, last_wanted=T0 + 2 * WEEK).retrain


ESTIMATING = RetrainPolicy(k=2, n=3, on_estimate=True)


@pytest.mark.parametrize(
    ("performance", "expected"), [("--", True), ("??", True), ("-?", True), ("pp", False), ("?p", False), ("FF", True)]
)
def test_the_estimate_counts_until_outcomes_have_decided(performance, expected):
    decision = decide(windows("pp", performance, estimate="FF"), ESTIMATING)
    assert decision.retrain is expected
    assert decision.triggers == ((("performance",) if "F" in performance else ("estimate",)) if expected else ())


def test_the_estimate_asks_for_nothing_unless_the_policy_says_so():
    assert not decide(windows("pp", estimate="FF")).retrain
    assert "estimate until 2013-03-15" in decide(windows("pp", estimate="FF"), ESTIMATING).reason


MONTHLY = RetrainPolicy(every=timedelta(days=35))


def scheduled(weeks, seen=(), last_wanted=None, trained_through=T0, last_asked=None):
    return should_retrain(
        seen,
        MONTHLY,
        last_trained_through=trained_through,
        last_wanted=last_wanted,
        last_asked=last_asked,
        now=T0 + weeks * WEEK,
    )


def test_the_schedule_counts_from_the_last_request_whichever_champion_it_was_for():
    """What a new champion has learnt is as old as the rows that were held out for its gate."""
    assert scheduled(6, trained_through=T0 + WEEK).retrain
    assert not scheduled(10, trained_through=T0, last_asked=T0 + 6 * WEEK).retrain
    assert scheduled(11, trained_through=T0, last_asked=T0 + 6 * WEEK).retrain
    assert not scheduled(11, trained_through=T0 + 7 * WEEK, last_asked=T0 + 6 * WEEK).retrain
    assert not scheduled(11, last_wanted=T0, last_asked=T0 + 7 * WEEK).retrain


def test_by_schedule_a_model_is_wanted_when_the_champion_has_learnt_through_too_long_ago():
    decision = scheduled(5, windows("ppp"))
    assert (decision.retrain, decision.triggers, decision.window) == (True, ("schedule",), T0 + 5 * WEEK)
    assert decision.reason == (
        "by schedule: the champion has learnt through 2013-03-01, 35 days of data ago, and a new model is wanted every 35 days"
    )
    assert not scheduled(4, windows("ppp")).retrain


def test_the_schedule_needs_no_window_but_must_know_what_was_learnt():
    assert scheduled(5).retrain
    assert not scheduled(5, trained_through=None).retrain


def test_the_schedule_asks_again_when_it_has_passed_again_since_it_asked():
    asked = T0 + 5 * WEEK
    assert [scheduled(weeks, windows("ppp"), asked).retrain for weeks in (6, 9, 10)] == [False, False, True]


def test_violations_are_told_before_the_schedule():
    assert scheduled(6, windows("ppppFF")).triggers == ("drift",)


def test_windows_after_now_are_not_seen():
    decision = should_retrain(windows("FF"), POLICY, last_trained_through=None, now=T0 + WEEK)
    assert (decision.retrain, decision.window) == (False, T0 + WEEK)


OUTCOMES = st.sampled_from(list(LETTERS.values()))
SEEN = st.lists(
    st.builds(
        Window,
        end=st.integers(1, 20).map(lambda n: T0 + n * WEEK),
        drift=OUTCOMES,
        performance=OUTCOMES,
        estimate=OUTCOMES,
        labels=st.integers(0, 500),
        because=st.just("it moved"),
    ),
    max_size=8,
    unique_by=lambda window: window.end,
)
POLICIES = st.builds(
    lambda k, more, on_estimate, new_labels, every: RetrainPolicy(
        k=k, n=k + more, on_estimate=on_estimate, new_labels=new_labels, every=every
    ),
    st.integers(1, 3),
    st.integers(0, 3),
    st.booleans(),
    st.none() | st.integers(1, 1500),
    st.none() | st.integers(28, 200).map(lambda days: timedelta(days=days)),
)
MOMENTS = st.none() | st.integers(-10, 20).map(lambda n: T0 + n * WEEK)


def asked(seen, policy, trained_through, last_wanted):
    return should_retrain(seen, policy, last_trained_through=trained_through, last_wanted=last_wanted, now=T0 + 20 * WEEK)


@given(SEEN, POLICIES, MOMENTS, MOMENTS, st.data())
def test_one_more_violation_never_withdraws_a_request(seen, policy, trained_through, last_wanted, data):
    if not seen:
        return
    place = data.draw(st.integers(0, len(seen) - 1))
    measure = data.draw(st.sampled_from(("drift", "performance", "estimate")))
    worse = [*seen[:place], replace(seen[place], **{measure: Outcome.FAIL}), *seen[place + 1 :]]
    before = asked(seen, policy, trained_through, last_wanted)
    assert asked(worse, policy, trained_through, last_wanted).retrain >= before.retrain


@given(SEEN, POLICIES, MOMENTS, MOMENTS, st.randoms())
def test_the_order_of_windows_does_not_matter_and_the_same_windows_give_the_same_answer(
    seen, policy, trained_through, last_wanted, random
):
    shuffled = list(seen)
    random.shuffle(shuffled)
    assert asked(shuffled, policy, trained_through, last_wanted) == asked(seen, policy, trained_through, last_wanted)


@given(SEEN, POLICIES, MOMENTS, MOMENTS)
def test_a_yes_names_what_asked_and_only_what_the_policy_knows(seen, policy, trained_through, last_wanted):
    decision = asked(seen, policy, trained_through, last_wanted)
    assert bool(decision.triggers) is decision.retrain
    assert decision.reason
    switched = {"estimate": policy.on_estimate, "labels": policy.new_labels, "schedule": policy.every}
    assert set(decision.triggers) <= {"drift", "performance"} | {name for name, on in switched.items() if on}


@given(POLICIES, MOMENTS, MOMENTS)
def test_without_windows_only_the_schedule_asks(policy, trained_through, last_wanted):
    decision = asked([], policy, trained_through, last_wanted)
    since = max((moment for moment in (trained_through, last_wanted) if moment), default=None)
    due = trained_through and policy.every and T0 + 20 * WEEK - since >= policy.every
    assert decision.retrain is bool(due)


@given(SEEN, POLICIES, st.integers(0, 10), MOMENTS)
def test_within_the_cooldown_nothing_is_asked(seen, policy, weeks, last_wanted):
    through = T0 + weeks * WEEK
    early = [window for window in seen if window.end - through < policy.cooldown]
    if early:
        now = max(window.end for window in early)
        assert not should_retrain(early, policy, last_trained_through=through, last_wanted=last_wanted, now=now).retrain


@given(st.text("p?-", max_size=8))
def test_windows_without_violation_never_ask(drift):
    assert not decide(windows(drift)).retrain
