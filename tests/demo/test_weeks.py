from __future__ import annotations

import pytest

from demo.stage import AWAY, REFUSED, START, WEEK, Clock, Stage, question
from everloop.decide.release.state import ReleaseState
from everloop.decide.release.state import Stage as In
from everloop.demo import airline
from everloop.demo.weeks import Weeks
from everloop.errors import StackError
from everloop.interval import Interval

FIRST = Interval(START, START + WEEK)


@pytest.fixture
def weeks(stage: Stage) -> Weeks:
    return Weeks(stage.watch, stage)  # type: ignore[arg-type]


def test_a_week_is_played_arrives_is_ingested_and_monitored(stage: Stage, weeks: Weeks) -> None:
    stage.report.rows = 1_250
    weeks.live_through(FIRST)
    assert (stage.played, weeks.last, weeks.next) == ([FIRST], START, START + WEEK)
    assert "01 Jan: 1,250 flights scored in 0.0 s, 0 refused, ingested and monitored in" in stage.said


def test_requests_that_met_no_service_are_told_and_those_refused_are_kept(stage: Stage, weeks: Weeks) -> None:
    stage.report.failures = [AWAY, AWAY, REFUSED]
    weeks.live_through(FIRST)
    weeks.live_through(Interval(START + WEEK, START + 2 * WEEK))
    assert (weeks.interrupted, weeks.refused) == (4, ["score 422: no such colour"] * 2)
    assert "(2 tries met no service), 1 refused" in stage.said


def test_a_lost_event_is_rung_again_for_the_graph_that_it_was_meant_for(
    stage: Stage, weeks: Weeks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airline, "arrive", lambda *_: None)
    work = {"toys_ingest": stage.ingest, "toys_monitor": stage.monitor}
    stage.airflow.on_trigger = lambda dag, conf, run: work[dag](FIRST)
    weeks.live_through(FIRST)
    assert [dag for dag, _ in stage.airflow.triggered] == ["toys_ingest", "toys_monitor"]


def test_a_database_that_is_restarted_gets_the_rows_a_little_later(
    stage: Stage, weeks: Weeks, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    tries = iter([psycopg.OperationalError("starting up"), psycopg.errors.AdminShutdown("ending"), None])
    land = airline.arrive

    def arrive(*given: object) -> None:
        if (trouble := next(tries)) is not None:
            raise trouble
        land(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(airline, "arrive", arrive)
    weeks.live_through(FIRST)
    assert weeks.last == START


def test_data_time_stands_still_until_what_the_monitor_asked_for_is_trained_and_approved(
    stage: Stage, weeks: Weeks, clock: Clock
) -> None:
    stage.write("promoted", "b", ReleaseState(champion="b"))
    stage.write("retrain_wanted", "b")
    stage.airflow.running, stage.airflow.asking = {"toys_retrain"}, [question("r")]

    def train() -> None:
        if clock.now > 300 and stage.airflow.running:
            assert stage.airflow.asking == []
            stage.write("registered", "c", run="r")
            stage.airflow.running = set()

    clock.awake = train
    weeks.live_through(FIRST)
    assert clock.now > 300
    assert "registered: c by ann" in stage.said
    clock.awake = lambda: None
    began = clock.now
    weeks.live_through(Interval(START + WEEK, START + 2 * WEEK))
    assert clock.now == began


def test_a_training_whose_event_was_lost_is_started_by_hand_for_the_same_reason(stage: Stage, weeks: Weeks) -> None:
    stage.write("retrain_wanted", "b")
    stage.airflow.on_trigger = lambda dag, conf, run: stage.write("registered", "c", run=run)
    weeks.live_through(FIRST)
    assert stage.airflow.triggered == [("toys_retrain", {"reason": "so"})]


def test_a_training_that_failed_is_told(stage: Stage, weeks: Weeks, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.write("retrain_wanted", "b")
    failed = [{"dag_run_id": "r9", "state": "failed", "run_after": "2026-03-01T12:00:01+00:00"}]
    monkeypatch.setattr(stage.airflow, "runs", lambda dag, states=(): [] if states else failed)
    with pytest.raises(StackError, match="Run r9 of toys_retrain failed"):
        weeks.live_through(FIRST)


def test_a_failed_training_of_before_is_none_of_this_one(stage: Stage, weeks: Weeks, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.write("retrain_wanted", "b")
    failed = [{"dag_run_id": "r9", "state": "failed", "run_after": "2026-03-01T11:59:59+00:00"}]
    monkeypatch.setattr(stage.airflow, "runs", lambda dag, states=(): [] if states else failed)
    stage.airflow.on_trigger = lambda dag, conf, run: stage.write("registered", "c", run=run)
    weeks.live_through(FIRST)


def test_what_the_monitor_asks_for_during_the_drill_is_left_to_people(stage: Stage, weeks: Weeks, clock: Clock) -> None:
    stage.write("retrain_wanted", "b")
    stage.airflow.running, stage.airflow.asking = {"toys_retrain"}, [question("r")]
    weeks.live_through(FIRST, train=False)
    assert (stage.airflow.asking, clock.now) == ([question("r")], 0.0)


def test_data_time_stands_still_until_the_rollout_has_decided_what_it_can(stage: Stage, weeks: Weeks, clock: Clock) -> None:
    new = stage.id("2")
    stage.write("released", new, ReleaseState(challenger=new, rollout="1-x", stage=In.CHECK))
    stage.airflow.running = {"toys_rollout"}

    def look() -> None:
        if clock.now > 90 and stage.watch.state.champion is None:
            stage.write("promoted", new, ReleaseState(champion=new))

    clock.awake = look
    weeks.live_through(FIRST)
    assert stage.watch.state.champion == new
    assert stage.airflow.triggered == []
    assert f"promoted: {new} by ann" in stage.said
