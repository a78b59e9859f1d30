from __future__ import annotations

import pytest

from everloop.decide.parity import Comparison, Tally
from everloop.decide.parity_verdict import Standing, Standings, for_gate, for_rollout, held, judge
from everloop.decide.policy import ParityPolicy
from everloop.decide.verdict import Outcome

POLICY = ParityPolicy(minimum_share=0.9)
FAIL, PASS, INCONCLUSIVE, ERROR = Outcome.FAIL, Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.ERROR


def comparison(rows: int, equal: int, **changes: object) -> Comparison:
    return Comparison(whole=Tally(rows, equal), features={"v__x": Tally(rows, equal)}, **changes)  # type: ignore[arg-type]


def standing(outcome: Outcome, release: str = "aaaa") -> Standing:
    return Standing(release=release, interval="week 9", outcome=outcome, because="v__x differs in 3")


def test_no_row_is_inconclusive_never_a_pass() -> None:
    verdict = judge(comparison(0, 0), POLICY)
    (reason,) = verdict.reasons
    assert (verdict.outcome, reason.check, reason.text) == (INCONCLUSIVE, "parity.share", "no served row could be compared")
    assert (reason.numbers["rows"], reason.numbers["minimum_share"]) == (0, 0.9)


@pytest.mark.parametrize(
    ("equal", "outcome"), [(90, PASS), (89, INCONCLUSIVE), (85, INCONCLUSIVE), (84, FAIL), (100, PASS), (0, FAIL)]
)
def test_the_share_passes_from_its_bound_on_and_fails_where_its_interval_lies_below(equal: int, outcome: Outcome) -> None:
    verdict = judge(comparison(100, equal), POLICY)
    assert verdict.outcome is outcome
    (reason,) = verdict.reasons
    assert reason.check == "parity.share"
    assert reason.text.startswith(f"{equal} of 100 rows have the features of history, 90.0% wanted")
    assert (reason.numbers["rows"], reason.numbers["equal"], reason.numbers["minimum_share"]) == (100, equal, 0.9)
    assert (reason.numbers["low"], reason.numbers["high"]) == comparison(100, equal).interval


def test_without_a_differing_feature_none_is_named() -> None:
    assert judge(comparison(100, 100), POLICY).because().endswith("90.0% wanted")


def test_a_feature_that_was_not_compared_keeps_a_pass_from_being_given() -> None:
    verdict = judge(comparison(100, 100, not_replayed=("old__x",)), POLICY)
    reason = verdict.reasons[-1]
    assert (verdict.outcome, reason.check, reason.numbers) == (INCONCLUSIVE, "parity.features", {"features": ["old__x"]})
    assert reason.text == "served features ['old__x'] are not in history any more and were not compared"


@pytest.mark.parametrize(
    ("away", "equal", "outcome"), [(10, 90, PASS), (11, 89, INCONCLUSIVE), (100, 0, INCONCLUSIVE), (11, 0, FAIL)]
)
def test_a_store_that_was_away_too_often_leaves_parity_unproven(away: int, equal: int, outcome: Outcome) -> None:
    verdict = judge(comparison(100 - away, equal, unavailable=away), POLICY)
    assert verdict.outcome is outcome
    reason = verdict.reasons[-1]
    assert (reason.check, reason.numbers) == ("parity.unavailable", {"unavailable": away, "sampled": 100})
    assert reason.text == f"{away} of 100 rows were served while the online store was away, and count apart"


def test_the_worst_features_are_named() -> None:
    features = {f"v__{n}": Tally(10, 10 - n) for n in range(5)}
    because = judge(Comparison(whole=Tally(10, 6), features=features), POLICY).because()
    assert "v__4 differs in 4; v__3 differs in 3; v__2 differs in 2" in because
    assert "v__1" not in because


def test_the_gate_asks_nothing_of_parity_while_nothing_serves() -> None:
    assert for_gate(None, None) == []


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_gate_takes_the_champions_parity_as_it_is(outcome: Outcome) -> None:
    (reason,) = for_gate("aaaa", standing(outcome))
    assert (reason.check, reason.outcome) == ("gate.parity", outcome)
    assert reason.numbers == {"champion": "aaaa", "interval": "week 9"}
    cure = "; mend what serves them and measure again, or force a candidate that mends it with a reason"
    told = "features served by champion aaaa in week 9: v__x differs in 3"
    assert reason.text == (told if outcome is PASS else told + cure)


def test_a_champion_whose_parity_nobody_measured_lets_no_candidate_pass() -> None:
    (reason,) = for_gate("aaaa", None)
    assert (reason.check, reason.outcome, reason.numbers) == ("gate.parity", INCONCLUSIVE, {"champion": "aaaa"})
    assert reason.text == (
        "no row that champion aaaa served was replayed through history yet: let the monitor measure an interval of its traffic, "
        "or force the candidate with a reason"
    )


@pytest.mark.parametrize("theirs", [None, PASS, FAIL, INCONCLUSIVE])
@pytest.mark.parametrize("ours", [PASS, FAIL])
def test_a_release_on_trial_stands_by_its_own_parity(ours: Outcome, theirs: Outcome | None) -> None:
    reason = for_rollout(Standings(candidate=standing(ours, "bbbb"), baseline=theirs and standing(theirs)))
    assert (reason.check, reason.outcome) == ("rollout.parity", ours)
    assert reason.text == "features served to bbbb in week 9: v__x differs in 3"


@pytest.mark.parametrize("ours", [None, INCONCLUSIVE, ERROR])
def test_a_baseline_that_fails_holds_the_rollout_until_the_other_is_shown_to_be_sound(ours: Outcome | None) -> None:
    standings = Standings(candidate=ours and standing(ours, "bbbb"), baseline=standing(FAIL))
    assert held(standings)
    reason = for_rollout(standings)
    assert (reason.check, reason.outcome) == ("rollout.parity", INCONCLUSIVE)
    assert reason.text == (
        "features served to aaaa in week 9 are not those of history: v__x differs in 3; "
        "waiting until the monitor has shown that those of the release on trial are"
    )


@pytest.mark.parametrize("theirs", [None, PASS, INCONCLUSIVE, ERROR])
def test_any_other_baseline_holds_nothing_and_proves_nothing(theirs: Outcome | None) -> None:
    standings = Standings(baseline=theirs and standing(theirs))
    reason = for_rollout(standings)
    assert not held(standings)
    assert (reason.check, reason.outcome) == ("rollout.parity", INCONCLUSIVE)
    assert reason.text == "the features served to the release on trial were not compared with history yet"
