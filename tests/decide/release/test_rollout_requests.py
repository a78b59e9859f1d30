"""What people ask of a rollout: the action whole, with its state, its words and who asked."""

from dataclasses import replace

import pytest

from decide.release.test_rollout import CANARY, CHECK, GOOD, IDLE, LATER, PAUSED, POLICY, SHADOW, T0, WATCH
from everloop.decide.release.rollout import Action, Kind, abort, advance, begin, force, pause, resume, revert, skip
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.verdict import Outcome, Reason, Verdict

EXPERIMENT = replace(CHECK, stage=Stage.EXPERIMENT)
BY = {"actor": "ann", "reason": "why"}


def asked(kind: Kind, after: ReleaseState, text: str, actor: str = "ann") -> Action:
    outcome = {Kind.WAIT: Outcome.INCONCLUSIVE, Kind.REFUSE: Outcome.FAIL}.get(kind, Outcome.PASS)
    return Action(kind, after, Verdict(outcome, (Reason("rollout.request", outcome, text),)), actor)


OBSTACLES = [
    (CANARY, "old", Kind.WAIT, "old is the champion already"),
    (CANARY, "new", Kind.WAIT, "new is on trial already (stage canary)"),
    (
        EXPERIMENT, "newer", Kind.REFUSE,
        "experiment r is under way: stop it (`everloop ab stop`), or wait until it has ended",
    ),
    (CANARY, "newer", Kind.REFUSE, "new is under way (stage canary): wait, abort it, or ask to supersede it"),
    (WATCH, "newer", Kind.REFUSE, "new is under way (stage watch): wait, abort it, or ask to supersede it"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "release", "kind", "text"), OBSTACLES)
def test_what_stands_in_the_way_of_a_release_is_told(state, release, kind, text) -> None:
    assert begin(state, release, "r2", LATER, actor="ann", reason="why") == asked(kind, state, text)
    assert begin(state, release, "r2", LATER, reason="why").actor == "everloop"
    assert force(state, release, "r2", POLICY, LATER, **BY) == asked(kind, state, text)


def test_an_experiment_is_never_superseded() -> None:
    assert begin(EXPERIMENT, "newer", "r2", LATER, reason="why", supersede=True).kind is Kind.REFUSE
    assert force(EXPERIMENT, "newer", "r2", POLICY, LATER, **BY, supersede=True).kind is Kind.REFUSE


def test_a_release_begins_at_the_check() -> None:
    begun = ReleaseState(champion="old", previous="older", challenger="newer", rollout="r2", stage=Stage.CHECK, since=LATER)
    assert begin(IDLE, "newer", "r2", LATER, reason="gate passed") == asked(Kind.RELEASE, begun, "gate passed", "everloop")
    assert begin(IDLE, "newer", "r2", LATER, actor="ann", reason="why") == asked(Kind.RELEASE, begun, "why")
    assert begin(CANARY, "newer", "r2", LATER, **BY, supersede=True) == asked(Kind.RELEASE, begun, "why")
    assert force(IDLE, "newer", "r2", POLICY, LATER, **BY) == asked(Kind.FORCE, begun, "ann: why")
    assert force(CANARY, "newer", "r2", POLICY, LATER, **BY, supersede=True) == asked(Kind.FORCE, begun, "ann: why")
    canary = replace(begun, stage=Stage.CANARY, weight=0.1)
    assert force(IDLE, "newer", "r2", POLICY, LATER, **BY, skip_shadow=True) == asked(Kind.FORCE, canary, "ann: why")


def test_what_can_be_held_is_held() -> None:
    held = replace(CANARY, stage=Stage.PAUSED, resume=Stage.CANARY, weight=0.0, since=LATER)
    assert pause(CANARY, LATER, **BY) == asked(Kind.PAUSE, held, "ann: why")
    watch = "new already serves all traffic, so there is nothing to hold: revert, or let the watch go on"
    assert pause(WATCH, LATER, **BY) == asked(Kind.REFUSE, WATCH, watch)
    experiment = "an experiment cannot be held, since its arms would no longer be alike: stop it"
    assert pause(EXPERIMENT, LATER, **BY) == asked(Kind.REFUSE, EXPERIMENT, experiment)
    assert pause(IDLE, LATER, **BY) == asked(Kind.WAIT, IDLE, "the rollout is idle already")
    assert pause(PAUSED, LATER, **BY) == asked(Kind.WAIT, PAUSED, "the rollout is paused already")


def test_what_was_held_goes_on_from_the_stages_beginning() -> None:
    second = replace(PAUSED, step=1)
    canary = replace(CANARY, step=1, weight=0.5, since=LATER)
    assert resume(second, POLICY, LATER, **BY) == asked(Kind.RESUME, canary, "ann: why")
    shadow = replace(SHADOW, since=LATER)
    assert resume(replace(PAUSED, resume=Stage.SHADOW), POLICY, LATER, **BY) == asked(Kind.RESUME, shadow, "ann: why")
    # The policy may have fewer steps by now.
    assert resume(replace(PAUSED, step=4), POLICY, LATER, **BY).after == canary
    for state in (CANARY, replace(PAUSED, resume=None), replace(CANARY, resume=Stage.CANARY)):
        text = f"nothing is paused: the stage is {state.stage}"
        assert resume(state, POLICY, LATER, **BY) == asked(Kind.WAIT, state, text)


def test_what_can_be_skipped_is_skipped() -> None:
    second = replace(CANARY, step=1, weight=0.5, since=LATER)
    assert skip(CANARY, POLICY, LATER, **BY) == asked(Kind.SKIP, second, "ann: why")
    assert skip(IDLE, POLICY, LATER, **BY) == asked(Kind.WAIT, IDLE, "nothing is on trial")
    check = "the stage check cannot be skipped: the scorer must have loaded the release"
    assert skip(CHECK, POLICY, LATER, **BY) == asked(Kind.REFUSE, CHECK, check)
    assert skip(PAUSED, POLICY, LATER, **BY) == asked(
        Kind.REFUSE, PAUSED, "the stage paused cannot be skipped: resume it first"
    )  # fmt: skip


def test_a_rollout_ends_by_a_persons_word() -> None:
    assert abort(IDLE, LATER, **BY) == asked(Kind.WAIT, IDLE, "nothing is on trial")
    served = ReleaseState(champion="old", previous="older", since=LATER)
    assert abort(CANARY, LATER, **BY) == asked(Kind.ROLL_BACK, served, "ann: why")
    assert abort(WATCH, LATER, **BY) == asked(Kind.ROLL_BACK, ReleaseState(champion="old", since=LATER), "ann: why")
    alone = replace(WATCH, previous=None)
    assert abort(alone, LATER, **BY) == asked(Kind.ROLL_BACK, ReleaseState(champion="new", since=LATER), "ann: why")


def test_a_release_serves_again_by_a_persons_word() -> None:
    text = "old serves already and nothing is on trial"
    assert revert(IDLE, "old", LATER, **BY) == asked(Kind.WAIT, IDLE, text)
    old, older = ReleaseState(champion="old", since=LATER), ReleaseState(champion="older", since=LATER)
    assert revert(CANARY, "old", LATER, **BY) == asked(Kind.REVERT, old, "ann: why")
    assert revert(IDLE, "older", LATER, **BY) == asked(Kind.REVERT, older, "ann: why")


def test_each_stage_that_passes_leads_to_the_next() -> None:
    assert advance(CHECK, GOOD, POLICY, LATER).after == replace(SHADOW, since=LATER)
    assert advance(SHADOW, GOOD, POLICY, LATER).after == replace(CANARY, since=LATER)
    assert advance(CANARY, GOOD, POLICY, LATER).after == replace(CANARY, step=1, weight=0.5, since=LATER)
    last = replace(CANARY, step=1, weight=0.1)
    assert advance(last, GOOD, POLICY, LATER).after == replace(WATCH, since=LATER)
    assert advance(WATCH, GOOD, POLICY, LATER).after == ReleaseState(champion="new", previous="old", since=LATER)
    assert advance(CANARY, GOOD, POLICY, T0).after == CANARY


def test_a_first_release_serves_after_the_check_because_of_it() -> None:
    action = advance(replace(CHECK, champion=None, previous=None), GOOD, POLICY, LATER)
    assert (action.kind, action.after) == (Kind.PROMOTE, ReleaseState(champion="new", since=LATER))
    assert action.reason == "the scorer loads the release and scored 2 rows"
