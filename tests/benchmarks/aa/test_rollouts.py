"""Rollouts and experiments end as the deciding code says, and the harness sees harm where there is some."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.aa import sides, worlds
from benchmarks.aa.experiments import concluded
from benchmarks.aa.flown import BEGIN
from benchmarks.aa.rollouts import Setup, ended, looks, play
from everloop.decide.policy import CostMatrix, RolloutPolicy
from everloop.decide.release.rollout import Kind
from everloop.decide.release.state import Stage

COST = CostMatrix(false_positive=1.0, false_negative=3.0)
SETUP = Setup(
    name="quick",
    policy=RolloutPolicy(steps=(0.1, 0.5), minimum_requests=100, watch_labels=500, shadow_share=1.0),
    cost=COST,
    speed=60.0,
    every=timedelta(days=2),
    watching=timedelta(days=20),
    length=timedelta(weeks=26),
)


def test_the_same_release_is_promoted(flown):
    found = ended(flown, "same", 1, SETUP)
    assert (found.how, found.checks, found.why, found.excess) == ("promoted", (), "", 0.0)
    assert found.salt == 1
    assert found.looks == len(list(play(flown, "same", 1, SETUP)))
    assert 0 < found.rows < 26 * 700


def test_looks_come_as_often_as_the_setup_says_and_end_with_the_rollout(flown):
    found = list(play(flown, "same", 1, SETUP))
    assert (found[0].stage, found[0].rows, found[0].week) == (Stage.CHECK, 0, 0.0)
    assert found[-1].action.kind is Kind.CONCLUDE
    for before, after in pairwise(found):
        days = 20 if before.action.after.stage is Stage.WATCH else 2
        assert after.week - before.week == pytest.approx(days / 7)
        assert after.stage is before.action.after.stage


def broken(flown, **changes):
    base = worlds.real(flown, np.random.default_rng(3), BEGIN, SETUP.length)
    return replace(base, scores=base.scores[[1, 1]], **{name: change(base) for name, change in changes.items()})


def test_a_release_that_fails_on_a_tenth_of_the_rows_is_rolled_back(flown, monkeypatch):
    def fails(base):
        return np.stack([base.drawn < 0.1, np.zeros(len(base), dtype=bool)])

    monkeypatch.setattr(worlds, "traffic", lambda *_: broken(flown, failing=fails))
    found = ended(flown, "broken", 1, SETUP)
    assert found.how == "rolled_back"
    assert set(found.checks) & {"rollout.errors", "rollout.shadow_errors"}
    assert found.why


def test_errors_that_no_release_can_help_hide_no_harm(flown):
    """A rollout name each, so that the entity without an answer is in either arm at some time."""
    wide = replace(SETUP, policy=replace(SETUP.policy, shadow_share=0.2))
    harmed = [ended(flown, "failing", salt, wide) for salt in range(4)]
    assert {one.how for one in harmed} == {"rolled_back"}
    assert {check for one in harmed for check in one.checks} <= {"rollout.errors", "rollout.shadow_errors"}
    for world in ("hopeless", "frail"):
        assert {ended(flown, world, salt, wide).how for salt in range(4)} <= {"promoted", "stuck"}


def test_a_stage_without_a_verdict_is_paused_or_stuck(flown):
    slow = replace(SETUP, policy=replace(SETUP.policy, minimum_time=timedelta(days=4), patience=timedelta(days=2)))
    found = ended(flown, "same", 1, slow)
    assert (found.how, found.stage) == ("paused", "shadow 0")
    assert found.checks == ("rollout.time",)
    patient = replace(slow, policy=replace(slow.policy, patience=timedelta(days=365)))
    assert ended(flown, "same", 1, patient).how == "stuck"


def test_a_stage_that_wants_more_answers_than_come_is_starved(flown):
    hungry = replace(SETUP, policy=replace(SETUP.policy, minimum_requests=10**6, patience=timedelta(days=1)))
    found = ended(flown, "same", 1, hungry)
    assert (found.how, found.stage) == ("starved", "canary 0.1")
    assert {"rollout.errors", "rollout.latency"} <= set(found.checks)
    patient = replace(hungry, policy=replace(hungry.policy, patience=timedelta(days=365)))
    assert ended(flown, "same", 1, patient).how == "starved"


def test_a_rollout_that_watches_when_the_traffic_ends_is_promoted(flown):
    endless = replace(SETUP, policy=replace(SETUP.policy, watch_labels=10**6))
    assert ended(flown, "same", 1, endless).how == "promoted"


def test_the_excess_is_what_the_release_on_trial_costs_more(flown, monkeypatch):
    def twice(base):
        return np.stack([np.zeros(len(base)), np.ones(len(base))])

    monkeypatch.setattr(worlds, "traffic", lambda *_: replace(broken(flown), scores=twice(broken(flown))))
    base = broken(flown)
    late = base.label.mean()
    assert ended(flown, "worse", 1, SETUP).excess == pytest.approx(3 * late / (1 - late) - 1, abs=1e-4)


def test_an_experiment_of_the_same_release_is_not_stopped(flown):
    found = concluded(flown, "same", 1, COST, RolloutPolicy())
    assert found.how in ("inconclusive", "alike")
    assert found.checks == ()
    assert found.how == "alike" or found.looks == 14


def test_a_treatment_that_fails_stops_the_experiment(flown, monkeypatch):
    def fails(base):
        return np.stack([base.drawn < 0.2, np.zeros(len(base), dtype=bool)])

    monkeypatch.setattr(worlds, "traffic", lambda *_: broken(flown, failing=fails))
    found = concluded(flown, "broken", 1, COST, RolloutPolicy())
    assert (found.how, found.checks) == ("stopped", ("experiment.errors",))
    assert found.looks < 14


def test_every_salt_of_every_case_is_played(flown, tmp_path):
    flown.keep(tmp_path / "flown.npz")
    cases = [("same", "flights", 2), ("whale", sides.EXPERIMENT, 1)]
    found = sides.played(str(tmp_path / "flown.npz"), cases, workers=1)
    assert [(one["world"], one["policy"], one["salt"]) for one in found] == [
        ("same", "flights", 0), ("same", "flights", 1), ("whale", "experiment", 0),
    ]  # fmt: skip
    assert {one["how"] for one in found} <= {"promoted", "stuck", "rolled_back", "stopped", "inconclusive", "alike"}


def test_looks_of_a_rollout_depend_on_its_name(flown):
    base = broken(flown)
    first, other = (list(looks(base, name, SETUP, ["aircraft"]))[4].action.verdict for name in ("a", "b"))
    assert first != other
