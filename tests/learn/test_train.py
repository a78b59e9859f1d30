from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from everloop.decide.statistics.compare import auc
from everloop.learn import train as training
from everloop.learn.encode import Encoder
from everloop.learn.job import TRAINED, Job, Trained, ask, give, read
from everloop.learn.scoring import Model, load_booster
from everloop.release import MODEL


@pytest.fixture(scope="module")
def trained(examples: pa.Table, job: Job, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Trained]:
    folder = tmp_path_factory.mktemp("trained")
    give(folder, examples.to_batches())
    ask(folder, job)
    return training.train(folder)


def test_the_same_examples_give_the_same_bytes_whatever_the_threads(trained, laid_out, job: Job) -> None:
    again, facts = training.train(laid_out(replace(job, threads=2)))
    assert again == trained[0]
    assert replace(facts, seconds=0) == replace(trained[1], seconds=0)


def test_pages_on_disk_give_the_same_bytes_as_memory_and_leave_nothing(trained, laid_out, job: Job) -> None:
    folder = laid_out(replace(job, external=True))
    (folder / "pages").mkdir()
    (folder / "pages" / "left").write_bytes(b"left by a killed process")
    again, facts = training.train(folder)
    assert again == trained[0]
    assert replace(facts, seconds=0) == replace(trained[1], seconds=0)
    assert not list((folder / "pages").iterdir())


def test_bins_are_those_of_the_booster(trained, laid_out, job: Job) -> None:
    coarse = replace(job, policy=replace(job.policy, parameters={**job.policy.parameters, "max_bin": 4}))
    assert training.train(laid_out(coarse))[0] != trained[0]


def test_wall_time_leaves_no_trace_but_a_seed_does(trained, laid_out, job: Job) -> None:
    other, _ = training.train(laid_out(replace(job, policy=replace(job.policy, seed=8))))
    assert other != trained[0]


def test_the_model_ranks_held_out_rows(trained, examples: pa.Table) -> None:
    model, facts = trained
    held_out = examples.filter(pa.array(examples["part"].to_numpy(zero_copy_only=False) == "holdout"))
    scorer = Model(model, Encoder(facts.columns, facts.categories), facts.calibrator)
    found = auc(held_out["label"].to_numpy(zero_copy_only=False), scorer.score(scorer.encoder.table(held_out)))
    assert found is not None
    assert found.value > 0.75


def test_early_stopping_keeps_the_best_round_and_no_later_tree(trained) -> None:
    _, facts = trained
    assert facts.rounds == int(np.argmin(facts.losses)) + 1 < len(facts.losses)


def test_categories_are_those_of_the_fitting_part(trained) -> None:
    assert trained[1].categories == {"carrier": ("AA", "B6", "UA")}


def test_the_device_that_was_used_is_recorded(trained) -> None:
    assert trained[1].device in {"cpu", "cuda"}


def test_the_models_bytes_name_no_device_and_no_threads(trained) -> None:
    config = json.loads(load_booster(trained[0]).save_config())
    assert config["learner"]["generic_param"]["device"] == "cpu"
    assert b"nthread" not in trained[0]


def test_a_job_leaves_model_and_facts_in_its_folder_and_no_checkpoint(trained, laid_out, job: Job) -> None:
    folder = laid_out(job)
    training.main(folder)
    assert (folder / MODEL).read_bytes() == trained[0]
    assert replace(read(folder, TRAINED, Trained), seconds=0) == replace(trained[1], seconds=0)
    assert sorted(path.name for path in folder.iterdir()) == ["examples.parquet", "job.json", "model.ubj", "trained.json"]
