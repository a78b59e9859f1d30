"""An experiment's course: it excludes a rollout, ends at once on harm, and promotes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decide.experiment.worlds import BEGAN, DAY, costs, observed, plan
from everloop.decide.experiment import course
from everloop.decide.experiment.observed import Observed
from everloop.decide.experiment.readout import read
from everloop.decide.policy import RolloutPolicy
from everloop.decide.release import rollout
from everloop.decide.release.evidence import Evidence
from everloop.decide.release.rollout import Kind
from everloop.decide.release.state import ReleaseState, Stage

IDLE = ReleaseState(champion="aaaa", previous="zzzz")
POLICY = RolloutPolicy()


def begun(**changes: object) -> ReleaseState:
    return course.begin(replace(IDLE, **changes), plan(), "toys", BEGAN, actor="ann", reason="cheaper?").after


def look(given: Observed, after: timedelta, **changes: object) -> rollout.Action:
    asked = plan(**changes)
    return course.advance(begun(), asked, read(asked, given, POLICY), BEGAN + after)


BETTER = observed(costs(2_000, 0.2, 1), costs(2_000, 0.1, 2))
WORSE = observed(costs(2_000, 0.1, 1), costs(2_000, 0.2, 2))
OPEN = observed(costs(100, 0.2, 1), costs(100, 0.2, 2))


def test_it_begins_with_a_share_of_the_entities_and_a_salt_of_its_own() -> None:
    state = begun()
    assert (state.champion, state.challenger, state.stage, state.weight) == ("aaaa", "bbbb", Stage.EXPERIMENT, 0.5)
    assert state.rollout == "toys/20260301T120000-lower"
    assert state.previous == "zzzz"


@pytest.mark.parametrize("stage", [Stage.CHECK, Stage.SHADOW, Stage.CANARY, Stage.WATCH, Stage.PAUSED, Stage.EXPERIMENT])
def test_it_does_not_begin_while_anything_is_on_trial(stage: Stage) -> None:
    action = course.begin(replace(IDLE, challenger="cccc", stage=stage), plan(), "toys", BEGAN, actor="ann", reason="-")
    assert (action.kind, action.after.stage) == (Kind.REFUSE, stage)
    assert "cccc is under way" in action.reason


def test_the_control_must_serve() -> None:
    action = course.begin(ReleaseState(champion="dddd"), plan(), "toys", BEGAN, actor="ann", reason="-")
    assert action.kind is Kind.REFUSE
    assert "the control aaaa does not serve, dddd does" in action.reason


def test_a_plan_that_was_not_sized_does_not_begin() -> None:
    action = course.begin(IDLE, plan(rows=0), "toys", BEGAN, actor="ann", reason="-")
    assert action.kind is Kind.REFUSE
    assert "everloop ab plan" in action.reason


@pytest.mark.parametrize("supersede", [False, True])
def test_a_rollout_does_not_begin_while_an_experiment_runs(supersede: bool) -> None:
    action = rollout.begin(begun(), "cccc", "r9", BEGAN, reason="new", supersede=supersede)
    assert (action.kind, action.after) == (Kind.REFUSE, begun())
    assert "everloop ab stop" in action.reason


def test_a_rollout_waits_and_cannot_be_paused_while_an_experiment_runs() -> None:
    assert rollout.advance(begun(), Evidence(), POLICY, BEGAN + DAY).kind is Kind.WAIT
    assert rollout.pause(begun(), BEGAN, actor="ann", reason="-").kind is Kind.REFUSE
    assert rollout.resume(begun(), POLICY, BEGAN, actor="ann", reason="-").kind is Kind.WAIT


def test_abort_and_revert_end_it_at_once() -> None:
    aborted = rollout.abort(begun(), BEGAN, actor="ann", reason="-").after
    assert (aborted.champion, aborted.challenger, aborted.stage) == ("aaaa", None, Stage.IDLE)
    reverted = rollout.revert(begun(), "zzzz", BEGAN, actor="ann", reason="-").after
    assert (reverted.champion, reverted.challenger, reverted.stage) == ("zzzz", None, Stage.IDLE)


def test_a_good_result_waits_for_the_planned_minimum_and_promotes_nothing() -> None:
    assert look(BETTER, 3 * DAY).kind is Kind.WAIT
    action = look(BETTER, 7 * DAY)
    assert action.kind is Kind.CONCLUDE_EXPERIMENT
    assert (action.after.champion, action.after.challenger, action.after.weight) == ("aaaa", None, 0.0)
    assert "the treatment is better" in action.reason


def test_shown_harm_ends_it_without_waiting() -> None:
    action = look(WORSE, timedelta(hours=1))
    assert (action.kind, action.after.stage) == (Kind.CONCLUDE_EXPERIMENT, Stage.IDLE)
    assert "the treatment is worse" in action.reason


def test_what_is_open_at_the_end_stays_open() -> None:
    assert look(OPEN, 27 * DAY).kind is Kind.WAIT
    action = look(OPEN, 28 * DAY)
    assert action.kind is Kind.CONCLUDE_EXPERIMENT
    assert not action.verdict.passed
    assert "not known yet" in action.reason


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (observed(costs(2_000, 0.2, 1), costs(2_000, 0.1, 2), errors=100), "errors in 5.00%"),
        (observed(costs(2_000, 0.2, 1), costs(2_000, 0.1, 2), latency_ms=900.0), "p99 latency"),
        (observed(costs(2_000, 0.2, 1), costs(1_500, 0.1, 2)), "sample ratio mismatch"),
        (observed(costs(2_000, 0.2, 1), costs(2_000, 0.1, 2), crossed=3), "3 entities met both arms"),
    ],
    ids=["errors", "latency", "split", "crossed"],
)
def test_a_guardrail_stops_it_at_once(given: Observed, why: str) -> None:
    action = look(given, timedelta(minutes=5))
    assert (action.kind, action.after.champion, action.after.challenger) == (Kind.STOP, "aaaa", None)
    assert why in action.reason
    assert "is better" not in action.reason


@given(st.integers(0, 100))
@settings(deadline=None)
def test_no_data_never_passes(days: int) -> None:
    action = look(Observed(), days * DAY)
    assert not action.verdict.passed
    assert action.kind is (Kind.CONCLUDE_EXPERIMENT if days >= 28 else Kind.WAIT)


def test_stopping_twice_is_stopping_once() -> None:
    stopped = course.stop(begun(), BEGAN + DAY, actor="ann", reason="a holiday")
    assert (stopped.kind, stopped.after.stage, stopped.reason) == (Kind.STOP, Stage.IDLE, "ann: a holiday")
    assert course.stop(stopped.after, BEGAN + DAY, actor="ann", reason="a holiday").kind is Kind.WAIT
