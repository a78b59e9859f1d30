from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from everloop.decide.policy import TrainingPolicy
from everloop.errors import TrainingError
from everloop.steps import training
from everloop.steps.training.staging import staged_files
from steps.training.conftest import COMMIT, Story, World


def test_a_run_that_was_killed_and_started_again_on_another_machine_gives_the_same_bytes(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERLOOP_GIT_COMMIT", COMMIT)
    world = story.world
    model = staged_files(world.lake, "second", "model")["model.ubj"]
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "model.ubj.partial").write_bytes(model[: len(model) // 2])
    training.train(world.lake, world.use_case, "second", tmp_path)
    assert staged_files(world.lake, "second", "model")["model.ubj"] == model


def test_the_tuned_candidate_is_trained(world: World) -> None:
    candidates = ({"learning_rate": 0.00001}, {"max_depth": 3})
    policy = TrainingPolicy(rounds=10, tuning_rounds=5, minimum_rows=1_000, candidates=candidates)
    world.use_case = replace(world.use_case, training=policy)
    world.prepared("run")
    found = training.tune(world.lake, world.use_case, "run", world.work / "run")
    assert found["parameters"] == {"max_depth": 3}
    assert [one["parameters"] for one in found["tried"]] == list(candidates)


def test_without_a_choice_nothing_is_fitted_to_tune(world: World) -> None:
    found = training.tune(world.lake, world.use_case, "run", world.work / "run")
    assert (found["parameters"], found["tried"]) == ({}, [])


def test_a_process_that_fails_is_an_error_with_its_last_words(world: World) -> None:
    world.use_case = replace(world.use_case, training=replace(world.use_case.training, parameters={"max_depth": "deep"}))
    world.prepared("run")
    with pytest.raises(TrainingError, match=r"(?s)The train process of run ended with code 1.*max_depth"):
        world.trained("run")


def test_clearing_forgets_rows_and_files_and_may_run_twice(world: World) -> None:
    world.prepared("run")
    (world.work / "run").mkdir()
    for _ in range(2):
        training.clear(world.lake, "run", world.work / "run")
    assert not (world.work / "run").exists()
    with pytest.raises(Exception, match="staged"):
        world.lake.staged("run/examples")
