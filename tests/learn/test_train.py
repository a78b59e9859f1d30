from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from everloop.decide.compare import auc
from everloop.learn import train as training
from everloop.learn import tune as tuning
from everloop.learn.encode import Encoder
from everloop.learn.job import TRAINED, TUNED, Job, Trained, Tuned, give, read
from everloop.learn.scoring import Model, load_booster
from everloop.release import MODEL


@pytest.fixture(scope="module")
def trained(examples: pa.Table, job: Job) -> tuple[bytes, Trained]:
    return training.train(examples, job)


def test_the_same_examples_give_the_same_bytes_whatever_the_threads(trained, examples: pa.Table, job: Job) -> None:
    again, facts = training.train(examples, replace(job, threads=2))
    assert again == trained[0]
    assert replace(facts, seconds=0) == replace(trained[1], seconds=0)


def test_the_order_of_threads_and_wall_time_leave_no_trace_but_a_seed_does(trained, examples: pa.Table, job: Job) -> None:
    other, _ = training.train(examples, replace(job, policy=replace(job.policy, seed=8)))
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


def test_a_job_in_a_folder_gives_what_the_function_gives(trained, examples: pa.Table, job: Job, tmp_path: Path) -> None:
    give(tmp_path, job, examples)
    training.main(tmp_path)
    assert (tmp_path / MODEL).read_bytes() == trained[0]
    assert replace(read(tmp_path, TRAINED, Trained), seconds=0) == replace(trained[1], seconds=0)


def test_tuning_chooses_the_candidate_with_the_lowest_validation_loss(examples: pa.Table, job: Job, tmp_path: Path) -> None:
    give(tmp_path, job, examples)
    tuning.main(tmp_path)
    found = read(tmp_path, TUNED, Tuned)
    assert found.overrides == {"max_depth": 3}
    assert [candidate for candidate, _ in found.tried] == [dict(candidate) for candidate in job.policy.candidates]
    assert found.tried[0][1] < found.tried[1][1]
