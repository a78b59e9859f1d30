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
from everloop.decide.verdict import Outcome, Reason, Verdict

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
    action = course.begin(replace(IDLE, step=3, weight=0.7), plan(weight=0.2), "toys", BEGAN, actor="ann", reason="cheaper?")
    assert action.kind is Kind.EXPERIMENT
    assert action.after == ReleaseState(
        champion="aaaa",
        previous="zzzz",
        challenger="bbbb",
        rollout="toys/20260301T120000-lower",
        stage=Stage.EXPERIMENT,
        weight=0.2,
        since=BEGAN,
    )
    assert (action.actor, action.verdict) == ("ann", asked(Outcome.PASS, "ann: cheaper?"))


def asked(outcome: Outcome, text: str) -> Verdict:
    return Verdict(outcome, (Reason("experiment.request", outcome, text),))


def refused(state: ReleaseState, **changes: object) -> str:
    action = course.begin(state, plan(**changes), "toys", BEGAN, actor="ann", reason="-")
    assert (action.kind, action.after, action.actor) == (Kind.REFUSE, state, "ann")
    assert action.verdict == asked(Outcome.FAIL, action.reason)
    return action.reason


@pytest.mark.parametrize("stage", [Stage.CHECK, Stage.SHADOW, Stage.CANARY, Stage.WATCH, Stage.PAUSED, Stage.EXPERIMENT])
def test_it_does_not_begin_while_anything_is_on_trial(stage: Stage) -> None:
    told = f"is under way (stage {stage}): wait until that ends, or end it"
    assert refused(replace(IDLE, challenger="cccc", stage=stage)) == f"cccc {told}"
    assert refused(replace(IDLE, stage=stage)) == f"aaaa {told}"


def test_the_control_must_serve() -> None:
    told = "the control aaaa does not serve, {} does: plan against what serves"
    assert refused(ReleaseState(champion="dddd")) == told.format("dddd")
    assert refused(ReleaseState()) == told.format("nothing")


def test_a_plan_that_was_not_sized_does_not_begin() -> None:
    for rows in (0, 1):
        assert refused(IDLE, rows=rows) == (
            f"the plan is made for {rows} rows: size it by `everloop ab plan --save`, or set `rows`"
        )
    assert course.begin(IDLE, plan(rows=2), "toys", BEGAN, actor="ann", reason="-").kind is Kind.EXPERIMENT


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
    assert (stopped.kind, stopped.actor, stopped.verdict) == (Kind.STOP, "ann", asked(Outcome.PASS, "ann: a holiday"))
    assert stopped.after == ReleaseState(champion="aaaa", previous="zzzz", since=BEGAN + DAY)
    again = course.stop(stopped.after, BEGAN + 2 * DAY, actor="ann", reason="a holiday")
    assert (again.kind, again.after, again.actor) == (Kind.WAIT, stopped.after, "ann")
    assert again.verdict == asked(Outcome.INCONCLUSIVE, "no experiment is under way (stage idle)")


def test_alike_releases_are_concluded_from_the_planned_minimum_on() -> None:
    alike = observed(costs(4_000, 0.2, 1), costs(4_000, 0.2, 2))
    assert look(alike, 7 * DAY - timedelta(seconds=1), effect=0.5).kind is Kind.WAIT
    assert look(alike, 7 * DAY, effect=0.5).kind is Kind.CONCLUDE_EXPERIMENT


def test_every_look_tells_what_was_read_and_an_end_sends_all_traffic_to_the_control() -> None:
    waits, concludes = look(OPEN, DAY), look(OPEN, 28 * DAY)
    stops = look(observed(costs(2_000, 0.2, 1), costs(2_000, 0.1, 2), crossed=3), DAY)
    assert waits.after == begun()
    assert concludes.after == ReleaseState(champion="aaaa", previous="zzzz", since=BEGAN + 28 * DAY)
    assert stops.after == ReleaseState(champion="aaaa", previous="zzzz", since=BEGAN + DAY)
    assert waits.verdict == concludes.verdict == read(plan(), OPEN, POLICY).verdict
    assert "3 entities met both arms" in stops.verdict.because()


def test_an_experiment_of_which_no_beginning_is_known_has_only_just_begun() -> None:
    day = plan(minimum_time=DAY, maximum_time=DAY)
    for shown in (OPEN, BETTER):
        state = replace(begun(), since=None)
        assert course.advance(state, day, read(day, shown, POLICY), BEGAN).kind is Kind.WAIT
