from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from demo.stage import NOW, START, WEEK, Stage, question
from everloop.decide.release.state import ReleaseState
from everloop.decide.release.state import Stage as In
from everloop.demo import story as told
from everloop.demo.story import Pace, Story
from everloop.demo.weeks import Weeks
from everloop.errors import StackError
from everloop.interval import Interval


@pytest.fixture
def story(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Story:
    """A story whose seasons begin in week 2, whose drill begins in week 12 at the latest, in a year of 52 weeks."""
    monkeypatch.setattr(told, "Replay", lambda *_, **__: stage)
    monkeypatch.setattr(told, "HISTORY_ENDS", START + 2 * WEEK)
    monkeypatch.setattr(told, "LATEST", START + 12 * WEEK)
    made = Story(stage.loop, stage.airflow, stage.watch.tell, Pace(until=START + 5 * WEEK))  # type: ignore[arg-type]
    made.watch = stage.watch
    made.weeks = Weeks(stage.watch, stage)  # type: ignore[arg-type]
    for n in range(2):
        stage.ingest(Interval(START + n * WEEK, START + (n + 1) * WEEK))
    stage.write("promoted", stage.id("1"), ReleaseState(champion=stage.id("1")))
    return made


def on_trial(stage: Stage, name: str = "2") -> ReleaseState:
    return ReleaseState(champion=stage.id("1"), challenger=stage.id(name), rollout=f"{name}-x", stage=In.SHADOW, since=NOW)


def after_weeks(stage: Stage, weeks: int, act: Any) -> None:
    """Have something happen while the world lives through the week with this number."""
    play = stage.play

    def played(week: Interval) -> Any:
        report = play(week)
        if len(stage.played) == weeks:
            act()
        return report

    stage.play = played  # type: ignore[method-assign]


def promote(stage: Stage, watched: bool = True) -> None:
    old, new = stage.id("1"), stage.id("2")
    watch = ReleaseState(champion=new, previous=old, rollout="2-x", stage=In.WATCH, since=NOW)
    stage.write("promoted", new, watch if watched else ReleaseState(champion=new))


def test_the_seasons_end_on_time_when_a_second_release_serves_by_then(story: Story, stage: Stage) -> None:
    after_weeks(stage, 2, lambda: promote(stage))
    story.seasons()
    assert len(stage.played) == 3
    assert "moves on beyond" not in stage.said


def test_weeks_go_by_until_the_release_on_trial_is_decided_and_why_is_told(story: Story, stage: Stage) -> None:
    after_weeks(stage, 2, lambda: stage.write("released", stage.id("2"), on_trial(stage)))
    after_weeks(stage, 7, lambda: promote(stage, watched=False))
    story.seasons()
    assert len(stage.played) == 7
    assert f"The world moves on beyond 05 February: {stage.id('2')} is in shadow: " in stage.said


def test_a_later_release_on_trial_is_decided_too_before_the_drill(story: Story, stage: Stage) -> None:
    after_weeks(stage, 1, lambda: promote(stage, watched=False))
    third = ReleaseState(champion=stage.id("2"), challenger=stage.id("3"), rollout="3-x", stage=In.SHADOW, since=NOW)
    after_weeks(stage, 3, lambda: stage.write("released", stage.id("3"), third))
    after_weeks(stage, 6, lambda: stage.write("rolled_back", stage.id("3"), ReleaseState(champion=stage.id("2"))))
    story.seasons()
    assert len(stage.played) == 6


def test_the_seasons_end_at_the_latest_when_the_drill_has_to_begin(story: Story, stage: Stage) -> None:
    story.seasons()
    assert stage.played[-1].end == START + 12 * WEEK
    assert "no second release serves yet" in stage.said


def sabotage(stage: Stage, dag: str, conf: Any, run: str) -> None:
    """What the retraining graph makes of a drill: the gate refuses it, unless it is forced."""
    stage.airflow.states[run] = "success"
    stage.write("registered", stage.id("3"), run=run)
    if conf.get("force"):
        canary = ReleaseState(champion=stage.id("2"), challenger=stage.id("3"), rollout="3-x", stage=In.CANARY, weight=0.1)
        stage.write("forced", stage.id("3"), canary)
    else:
        stage.write("gate_failed", stage.id("3"))


def test_the_drill_is_refused_forced_and_lived_with_until_it_is_rolled_back(story: Story, stage: Stage) -> None:
    promote(stage)
    stage.airflow.on_trigger = lambda dag, conf, run: sabotage(stage, dag, conf, run)
    back = ReleaseState(champion=stage.id("2"))
    after_weeks(stage, 2, lambda: stage.write("rolled_back", "another", stage.watch.state))
    after_weeks(stage, 4, lambda: stage.write("rolled_back", stage.id("3"), back))
    story.drill()
    assert len(stage.played) == 4
    assert [conf["reason"] for _, conf in stage.airflow.triggered][1] == told.DRILL_REASON
    assert stage.airflow.triggered[1][1] == {"drill": True, "force": True, "skip_shadow": True, "reason": told.DRILL_REASON}


def test_a_drill_that_is_never_rolled_back_is_told_at_the_end_of_the_year(story: Story, stage: Stage) -> None:
    promote(stage)
    stage.airflow.on_trigger = lambda dag, conf, run: sabotage(stage, dag, conf, run)
    with pytest.raises(StackError, match=f"was not rolled back until the end of the year: {stage.id('3')} is in canary"):
        story.drill()
    assert stage.played[-1].end == START + 52 * WEEK


def test_a_gate_that_lets_a_drill_on_is_told_and_nobody_approves_it(story: Story, stage: Stage) -> None:
    promote(stage)

    def ask(dag: str, conf: Any, run: str) -> None:
        stage.airflow.asking = [question("of the monitor"), question(run)]

    stage.airflow.on_trigger = ask
    with pytest.raises(StackError, match="The gate let a model on that has learnt from shuffled labels"):
        story.drill()
    assert stage.airflow.asking == [question("run-1")]


def test_a_first_model_that_the_gate_refuses_is_told_at_once(story: Story, stage: Stage) -> None:
    stage.write("reverted", "nothing", ReleaseState())
    stage.airflow.unpause = lambda dag: None  # type: ignore[attr-defined]
    stage.airflow.on_trigger = lambda dag, conf, run: sabotage(stage, dag, conf, run)
    with pytest.raises(StackError, match="The first model was not let on: so"):
        story.first_release()


def test_a_backfill_that_was_made_in_part_is_made_whole(story: Story, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Any, ...]] = []
    runs = [{"dag_run_id": f"r{n}", "run_type": "backfill", "state": "success"} for n in range(3)]
    monkeypatch.setattr(stage.airflow, "runs", lambda dag, states=(): [] if states else runs[: 1 + 2 * len(made)])
    stage.airflow.backfill = lambda *given, **options: made.append(given)  # type: ignore[attr-defined]
    stage.watch.wait("The backfill", lambda: story._backfilled(START, START + 2 * WEEK, 3))
    assert made == [("toys_ingest", START, START + 2 * WEEK)]
    assert "1 of 3 weeks ingested" in stage.said
    assert stage.clock.now < timedelta(minutes=1).total_seconds()
