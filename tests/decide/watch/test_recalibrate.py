from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from everloop.decide.policy import RecalibrationPolicy
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.watch.recalibrate import Seen, should_recalibrate

THEN, NOW = datetime(2013, 4, 1, tzinfo=UTC), datetime(2013, 4, 8, tzinfo=UTC)
SERVING = ReleaseState(champion="a")
POLICY = RecalibrationPolicy(minimum_labels=100, minimum_blocks=5, every=None)


def shift(low: float, high: float) -> Estimate:
    return Estimate(value=(low + high) / 2, low=low, high=high, rows=900)


SEEN = Seen(labels=900, blocks=7, shift=shift(-0.1, 0.2), calibrated_through=THEN, through=NOW)


@pytest.mark.parametrize(
    ("low", "high", "wanted"), [(0.01, 0.4, True), (-0.4, -0.01, True), (0.0, 0.4, False), (-0.4, 0.0, False)]
)
def test_scores_that_are_shown_to_be_off_are_recalibrated(low: float, high: float, wanted: bool) -> None:
    found = should_recalibrate(replace(SEEN, shift=shift(low, high)), SERVING, POLICY)
    assert (found.recalibrate, found.triggers) == (wanted, ("labels",) if wanted else ())
    told = f"too low by {shift(low, high)}" if low >= 0 else f"too high by {shift(-high, -low)}"
    assert f"where decisions are made, scores are {told} in log odds (900 labels of 7 blocks of time)" in found.reason
    assert ("not shown to differ from 0" in found.reason) is not wanted


@pytest.mark.parametrize(("every", "wanted"), [(timedelta(days=7), True), (timedelta(days=8), False), (None, False)])
def test_by_schedule_when_labels_are_newer_than_those_that_the_calibrator_knows(every: timedelta | None, wanted: bool) -> None:
    found = should_recalibrate(SEEN, SERVING, replace(POLICY, every=every))
    assert (found.recalibrate, found.triggers) == (wanted, ("schedule",) if wanted else ())
    if wanted:
        assert found.reason.startswith("by schedule: the calibrator knows of labels until 2013-04-01 00:00Z")


@pytest.mark.parametrize("changes", [{"labels": 99}, {"blocks": 4}])
def test_few_labels_ask_for_nothing_however_far_off_scores_are(changes: dict[str, int]) -> None:
    found = should_recalibrate(replace(SEEN, shift=shift(1, 2), **changes), SERVING, replace(POLICY, every=timedelta(days=1)))
    told = {"labels": 900, "blocks": 7} | changes
    assert not found.recalibrate
    assert f"{told['labels']} labels of {told['blocks']} blocks of time are too few" in found.reason


def test_just_enough_labels_are_enough() -> None:
    assert should_recalibrate(replace(SEEN, labels=100, blocks=5, shift=shift(1, 2)), SERVING, POLICY).recalibrate


def test_without_a_label_nothing_is_asked_for() -> None:
    found = should_recalibrate(None, SERVING, POLICY)
    assert (found.recalibrate, found.reason.startswith("0 labels of 0 blocks")) == (False, True)


def test_without_newer_labels_nothing_is_asked_for() -> None:
    found = should_recalibrate(replace(SEEN, shift=shift(1, 2), through=THEN), SERVING, POLICY)
    assert (found.recalibrate, found.reason.endswith("and none is newer")) == (False, True)


@pytest.mark.parametrize("stage", [Stage.CHECK, Stage.SHADOW, Stage.CANARY, Stage.PAUSED, Stage.EXPERIMENT])
def test_nothing_is_asked_for_while_a_release_is_on_trial(stage: Stage) -> None:
    state = ReleaseState(champion="a", challenger="b", rollout="r", stage=stage)
    found = should_recalibrate(replace(SEEN, shift=shift(1, 2)), state, POLICY)
    assert (found.recalibrate, found.reason) == (False, f"b is on trial (stage {stage}): what becomes of it is decided first")


def test_a_watch_is_no_obstacle() -> None:
    state = ReleaseState(champion="a", previous="z", rollout="r", stage=Stage.WATCH)
    assert should_recalibrate(replace(SEEN, shift=shift(1, 2)), state, POLICY).recalibrate


def test_nothing_serves_nothing_to_recalibrate() -> None:
    found = should_recalibrate(replace(SEEN, shift=shift(1, 2)), ReleaseState(), POLICY)
    assert found.to_json() == {
        "recalibrate": False,
        "reason": "no release serves yet: there is nothing to recalibrate",
        "triggers": [],
    }
