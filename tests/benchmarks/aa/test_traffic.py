"""The log: who answers is who the scorer would have answer, and what is logged is what the scorer would log."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from benchmarks.aa import worlds
from benchmarks.aa.flown import BEGIN
from benchmarks.aa.traffic import NEW, OLD, START, Log, taken
from everloop.decide.release.state import ReleaseState, Stage
from everloop.serve.answering.arms import assign

SHADOW = ReleaseState(champion=OLD, challenger=NEW, rollout="r", stage=Stage.SHADOW, since=START)
CANARY = replace(SHADOW, stage=Stage.CANARY, weight=0.25)
WATCH = ReleaseState(champion=NEW, previous=OLD, rollout="r", stage=Stage.WATCH, since=START)
CHECK = replace(SHADOW, stage=Stage.CHECK)


@pytest.fixture
def traffic(flown):
    return worlds.real(flown, np.random.default_rng(3), BEGIN, timedelta(days=10))


def served(traffic, state, share=0.5):
    log = Log(traffic, "r", share, 0.25, speed=60.0)
    log.serve(state, traffic.asked[-1] + np.timedelta64(1, "s"))
    assert log.rows == len(traffic)
    return log.seen(traffic.asked[-1])


@pytest.mark.parametrize("state", [SHADOW, CANARY, replace(CANARY, weight=1.0), WATCH, replace(CANARY, stage=Stage.EXPERIMENT)])
def test_each_entity_meets_the_arm_that_the_scorer_gives_it(traffic, state):
    names = traffic.entities[traffic.entity].tolist()
    assert served(traffic, state)["arm"].tolist() == [assign(state, name, "key", 0.5).arm for name in names]


def test_the_other_release_scores_the_shadow_sample(traffic):
    found, sampled = served(traffic, CANARY), traffic.drawn < 0.5
    ours = found["arm"] == "challenger"
    assert found["release"].tolist() == np.where(ours, NEW, OLD).tolist()
    assert found["shadow_release"].tolist() == np.where(sampled, np.where(ours, OLD, NEW), None).tolist()
    new, old = traffic.scores
    assert found["score"].tolist() == np.where(ours, new, old).tolist()
    np.testing.assert_array_equal(found["shadow_score"], np.where(sampled, np.where(ours, old, new), np.nan))
    assert found["decision"].tolist() == (found["score"] >= 0.25).tolist()


def test_in_the_watch_the_new_champion_answers_and_the_old_one_is_its_shadow(traffic):
    found = served(traffic, WATCH, share=1.0)
    assert set(found["arm"]) == {"champion"}
    assert set(found["release"]) == {NEW}
    assert set(found["shadow_release"]) == {OLD}
    assert found["shadow_score"].tolist() == traffic.scores[1].tolist()


@pytest.mark.parametrize(
    ("state", "failing", "error", "shadow", "scored"),
    [
        # The champion steps in for a challenger that fails, if it can; for a champion nobody does, but the other one is asked.
        (replace(CANARY, weight=1.0), (True, False), True, OLD, (False, True)),
        (replace(CANARY, weight=1.0), (True, True), True, OLD, (False, False)),
        (replace(CANARY, weight=1.0), (False, True), False, OLD, (True, False)),
        (SHADOW, (True, False), False, NEW, (True, False)),
        (SHADOW, (False, True), True, NEW, (False, True)),
        (SHADOW, (True, True), True, NEW, (False, False)),
        (WATCH, (True, False), True, OLD, (False, True)),
        (WATCH, (True, True), True, OLD, (False, False)),
        (WATCH, (False, True), False, OLD, (True, False)),
    ],
)
def test_a_row_that_a_release_cannot_answer(traffic, state, failing, error, shadow, scored):
    broken = replace(traffic, failing=np.repeat(np.array(failing)[:, None], len(traffic), axis=1))
    found = served(broken, state, share=0.0 if error else 1.0)
    assert {one is not None for one in found["error"]} == {error}
    assert set(found["shadow_release"]) == {shadow}
    assert tuple(bool(np.isfinite(found[name]).all()) for name in ("score", "shadow_score")) == scored
    assert set(np.isfinite(found["decision"])) == {scored[0]}


def test_rows_come_as_they_are_asked_and_labels_as_they_are_known(traffic):
    log = Log(traffic, "r", 1.0, 0.25, speed=60.0)
    noon = traffic.asked[0] + np.timedelta64(12, "h")
    log.serve(SHADOW, noon)
    found = log.seen(noon)
    assert found["as_of"].tolist() == [one for one in traffic.asked.tolist() if one < noon.item()]
    known = traffic.known[: log.rows] <= noon
    assert 0 < known.sum() < log.rows
    np.testing.assert_array_equal(found["label"], np.where(known, traffic.label[: log.rows], np.nan))
    log.serve(CANARY, traffic.asked[-1])
    assert log.seen(noon)["arm"].tolist()[: len(found["arm"])] == ["champion"] * len(found["arm"])


def test_the_wall_clock_runs_slower_than_the_data(traffic):
    log = Log(traffic, "r", 1.0, 0.25, speed=60.0)
    log.serve(SHADOW, traffic.asked[-1])
    later = traffic.asked[0] + np.timedelta64(1, "h")
    assert log.wall(later) == START + timedelta(minutes=1)
    found = log.seen(later)
    wall, data = (float((found[name][-1] - found[name][0]) / np.timedelta64(1, "s")) for name in ("at", "as_of"))
    assert wall * 60 == pytest.approx(data)


def test_before_the_scorer_has_loaded_it_nothing_is_asked_of_the_release_on_trial(traffic):
    assert set(served(traffic, CHECK)["arm"]) == {"champion"}


def test_an_option_that_a_function_does_not_know_is_left_out():
    assert taken(lambda known: known, known=1, unknown=2) == {"known": 1}
