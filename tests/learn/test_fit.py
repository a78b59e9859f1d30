from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from everloop.decide.policy import TrainingPolicy
from everloop.errors import TrainingError
from everloop.learn import device
from everloop.learn.fit import fit, parameters
from everloop.learn.job import Job
from everloop.learn.train import encoder_of, part


@pytest.mark.filterwarnings("ignore:.*GPU.*:UserWarning")
@pytest.mark.skipif(device.available() == "cuda", reason="this machine has the device that the test needs absent")
def test_training_that_ran_elsewhere_than_told_is_an_error(examples: pa.Table, job: Job) -> None:
    encoder = encoder_of(examples, job)
    rows = part(examples, encoder, "fit")
    with pytest.raises(TrainingError, match="was to run on cuda and ran on cpu"):
        fit(rows, rows, encoder, parameters(job.policy, {}), rounds=2, early_stopping=2, threads=1, device="cuda")


def test_overrides_win_over_the_policys_parameters_and_nothing_wins_over_the_seed() -> None:
    policy = TrainingPolicy(seed=5, parameters={"max_depth": 6, "eta": 0.1, "seed": 1})
    found = parameters(policy, {"max_depth": 3, "seed": 2})
    assert (found["max_depth"], found["eta"], found["seed"]) == (3, 0.1, 5)
    assert parameters(replace(policy, parameters={}), {})["objective"] == "binary:logistic"
