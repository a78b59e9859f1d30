from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from everloop.decide.policy import TrainingPolicy
from everloop.decide.training.space import Integers
from everloop.errors import ConfigurationError, TrainingError
from everloop.learn.checkpoint import Checkpoint, Progress
from everloop.learn.device import available
from everloop.learn.job import TRAINED, Trained, digest, read
from everloop.ports import ModelVersion
from everloop.release import MODEL
from everloop.steps import training
from everloop.steps.training.staging import staged_files
from fakes.cluster import MemoryCluster
from steps.training.conftest import COMMIT, Story, World

VERSION = ModelVersion(version="1", run_id="r", url="/models/1")


def test_a_run_that_was_killed_and_started_again_on_another_machine_gives_the_same_bytes(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERLOOP_GIT_COMMIT", COMMIT)
    world = story.world
    model = staged_files(world.lake, "second", "model")["model.ubj"]
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "model.ubj.partial").write_bytes(model[: len(model) // 2])
    training.train(world.lake, None, world.use_case, "second", tmp_path)
    assert staged_files(world.lake, "second", "model")["model.ubj"] == model


def test_the_tuned_candidate_is_trained(world: World) -> None:
    candidates = ({"learning_rate": 0.00001}, {"max_depth": 3})
    policy = TrainingPolicy(rounds=10, tuning_rounds=5, minimum_rows=1_000, candidates=candidates)
    world.use_case = replace(world.use_case, training=policy)
    world.prepared("run")
    found = training.tune(world.lake, world.use_case, "run", world.work / "run")
    assert found["parameters"] == {"max_depth": 3}
    assert [one["parameters"] for one in found["tried"]] == list(candidates)


def test_a_search_is_tuned_and_its_trials_are_told_to_the_reviewers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = TrainingPolicy(
        rounds=10,
        tuning_rounds=5,
        minimum_rows=1_000,
        trials=3,
        search={"max_depth": Integers(2, 4)},
        parameters={"max_depth": 3},
    )
    world.use_case = replace(world.use_case, training=policy)
    reports: list[Any] = []
    monkeypatch.setattr(world.registry, "record", lambda bundle, report, *rest: reports.append(report) or VERSION)
    world.registered("run")
    trials = reports[0]["trials"]
    assert trials[0]["parameters"] == {"max_depth": 3}
    assert len(trials) == 3
    assert {"loss", "rounds", "state", "seconds"} < set(trials[0])


def test_workers_fit_on_the_cluster_and_the_lineage_says_so(world: World) -> None:
    world.cluster = MemoryCluster(world.lake)
    world.use_case = replace(world.use_case, training=replace(world.use_case.training, workers=2))
    _, registered = world.registered("run")
    found = world.registry.get(registered["release"])
    assert (found.manifest.lineage["device"], found.manifest.lineage["workers"]) == ("spark", "2")
    assert found.manifest.calibrator.x


def test_the_cluster_makes_the_model_that_this_machine_makes_of_the_same_rows(world: World) -> None:
    world.prepared("run")
    alone = world.trained("run")
    model = staged_files(world.lake, "run", "model")["model.ubj"]
    world.cluster = MemoryCluster(world.lake)
    world.use_case = replace(world.use_case, training=replace(world.use_case.training, workers=2))
    together = world.trained("run")
    assert (alone["device"], together["device"], together["workers"]) == ("cpu", "spark", 2)
    assert staged_files(world.lake, "run", "model")["model.ubj"] == model


def test_workers_without_a_cluster_are_refused_and_told_what_to_set(world: World) -> None:
    world.use_case = replace(world.use_case, training=replace(world.use_case.training, workers=2))
    world.prepared("run")
    with pytest.raises(ConfigurationError, match="EVERLOOP_SPARK names no cluster: set it"):
        world.trained("run")


def test_workers_by_size_without_a_cluster_become_pages_on_disk_and_the_same_model(world: World) -> None:
    world.prepared("run")
    world.trained("run")
    model = staged_files(world.lake, "run", "model")["model.ubj"]
    world.use_case = replace(world.use_case, training=replace(world.use_case.training, workers=2, spark_rows=100))
    found = world.trained("run")
    assert found["external_memory"] is True
    assert "EVERLOOP_SPARK names no cluster" in found["because"]
    assert staged_files(world.lake, "run", "model")["model.ubj"] == model


def test_a_retry_in_the_same_folder_goes_on_from_the_checkpoint_that_is_there(world: World) -> None:
    world.prepared("run")
    world.trained("run")
    folder = world.work / "run" / "train"
    losses = tuple(0.9 - n / 1000 for n in range(read(folder, TRAINED, Trained).rounds))
    kept = Progress(model=(folder / MODEL).read_bytes(), losses=losses)
    Checkpoint(folder, digest(folder, available())).save(kept)
    world.trained("run")
    assert read(folder, TRAINED, Trained).losses[: len(losses)] == losses


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
