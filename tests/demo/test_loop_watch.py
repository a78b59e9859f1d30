from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from demo.stage import NOW, Clock, Stage, question
from everloop.decide.release.state import ReleaseState
from everloop.decide.release.state import Stage as In
from everloop.demo.loop_watch import PARKED, QUIET, RINGS
from everloop.errors import SourceError, StackError
from everloop.ports import Ledger
from fakes.traffic import prediction


def in_shadow(stage: Stage) -> ReleaseState:
    old, new = stage.id("1"), stage.id("2")
    state = ReleaseState(champion=old, challenger=new, rollout="2-x", stage=In.SHADOW, since=datetime.now(UTC))
    stage.write("released", new, state)
    return state


def serve(stage: Stage, rows: int) -> None:
    """Both releases score the same rows alike, in the shadow."""
    old, new = stage.id("1"), stage.id("2")
    scores = {"release": old, "shadow_release": new, "rollout": "2-x"}
    at = datetime.now(UTC) + timedelta(seconds=1)
    made = [prediction(f"r{i}", entity=str(i), at=at, score=i / rows, shadow_score=i / rows, **scores) for i in range(rows)]
    stage.loop.traffic.log("toys", made)


def test_a_rollout_that_only_more_traffic_would_move_has_decided(stage: Stage) -> None:
    in_shadow(stage)
    assert stage.watch.decided()
    serve(stage, 10)
    assert stage.watch.decided()
    assert (stage.watch.why_waiting() or "").startswith(f"{stage.id('2')} is in shadow: ")


def test_a_rollout_whose_evidence_is_there_has_something_to_decide_however_short_it_has_lasted(stage: Stage) -> None:
    in_shadow(stage)
    serve(stage, 500)
    assert not stage.watch.decided()


def test_a_load_check_needs_no_traffic_and_nothing_on_trial_decides_nothing(stage: Stage) -> None:
    assert stage.watch.decided()
    assert stage.watch.why_waiting() is None
    stage.write("released", stage.id("2"), ReleaseState(challenger=stage.id("2"), rollout="1-x", stage=In.CHECK, since=NOW))
    assert not stage.watch.decided()


def test_what_should_run_is_started_by_hand_when_its_event_was_lost(stage: Stage, clock: Clock) -> None:
    for _ in range(2):
        stage.watch.rung("monitor")
        clock.sleep(QUIET / 2)
    assert stage.airflow.triggered == []
    clock.sleep(1)
    stage.watch.rung("monitor", {"reason": "lost"})
    assert stage.airflow.triggered == [("toys_monitor", {"reason": "lost"})]


def test_what_runs_is_left_alone_and_its_rest_counts_from_its_end(stage: Stage, clock: Clock) -> None:
    stage.watch.rung("monitor")
    clock.sleep(QUIET + 1)
    stage.airflow.running = {"toys_monitor"}
    stage.watch.rung("monitor")
    stage.airflow.running = set()
    stage.watch.rung("monitor")
    assert stage.airflow.triggered == []


def test_runs_by_hand_that_come_to_nothing_are_told_in_the_end(stage: Stage) -> None:
    def never() -> bool:
        stage.watch.rung("rollout")
        return False

    with pytest.raises(StackError, match=f"{RINGS} runs of toys_rollout came to nothing"):
        stage.watch.wait("The check", never)
    assert len(stage.airflow.triggered) == RINGS
    with pytest.raises(StackError):
        stage.watch.wait("The check", never)
    assert len(stage.airflow.triggered) == 2 * RINGS


def test_questions_are_approved_but_for_those_of_one_run_and_not_at_once(stage: Stage, clock: Clock) -> None:
    stage.airflow.asking = [question("a"), question("b")]
    stage.watch.answer_all(but="b")
    assert stage.airflow.asking == [question("b")]
    assert clock.now == PARKED
    assert stage.said.count("A person is asked: May it meet traffic?") == 1


def test_each_decision_is_told_once(stage: Stage) -> None:
    stage.write("gate_passed", "b")
    stage.watch.tell_decisions()
    stage.write("released", "b")
    stage.watch.tell_decisions()
    stage.watch.tell_decisions()
    assert [stage.said.count(words) for words in ("gate passed: b by ann - so", "released: b by ann - so")] == [1, 1]


def test_a_failed_run_is_an_error_that_names_it(stage: Stage) -> None:
    stage.airflow.states = {"r1": "success", "r2": "failed"}
    assert stage.watch.ended("retrain", "r1")
    assert not stage.watch.ended("retrain", "r3")
    with pytest.raises(StackError, match="Run r2 of toys_retrain failed"):
        stage.watch.ended("retrain", "r2")


class Restarted:
    """A ledger whose database is away for the next `times` calls."""

    def __init__(self, ledger: Ledger, times: int) -> None:
        self.ledger, self.times = ledger, times

    def head(self, use_case: str):
        if self.times:
            self.times -= 1
            raise SourceError("PostgreSQL does not answer")
        return self.ledger.head(use_case)


def test_the_database_may_be_restarted_meanwhile(stage: Stage) -> None:
    stage.write("promoted", "b", ReleaseState(champion="b"))
    stage.loop.ledger = Restarted(stage.loop.ledger, 3)
    assert stage.watch.state.champion == "b"
