"""A small labelled table with a category, a number with gaps and a number that is noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from everloop.decide.policy import TrainingPolicy
from everloop.learn.job import Job, ask, give


@pytest.fixture(scope="session")
def examples() -> pa.Table:
    random = np.random.default_rng(11)
    rows = 3_000
    carrier, x, noise = random.choice(["AA", "B6", "UA"], rows), random.normal(size=rows), random.normal(size=rows)
    chance = 1 / (1 + np.exp(-(1.5 * x + (carrier == "UA") - 0.5)))
    part = np.repeat(["fit", "validation", "calibration", "holdout"], [1800, 400, 400, 400])
    carrier[2_700:2_710] = "ZZ"
    return pa.table(
        {
            "carrier": carrier,
            "v__x": pa.array(x, mask=random.uniform(size=rows) < 0.05),
            "v__noise": noise,
            "label": random.uniform(size=rows) < chance,
            "part": part,
        }
    )


@pytest.fixture(scope="session")
def job() -> Job:
    policy = TrainingPolicy(
        rounds=40,
        early_stopping=8,
        tuning_rounds=8,
        parameters={"max_depth": 3, "learning_rate": 0.3, "subsample": 0.8},
        candidates=({"max_depth": 3}, {"max_depth": 1, "learning_rate": 0.001}),
    )
    return Job(columns=("carrier", "v__x", "v__noise"), categories=("carrier",), policy=policy, threads=1)


@pytest.fixture
def laid_out(examples: pa.Table, tmp_path: Path) -> Callable[..., Path]:
    """A folder with the examples and a job."""

    def lay(job: Job, name: str = "job") -> Path:
        give(tmp_path / name, examples.to_batches())
        ask(tmp_path / name, job)
        return tmp_path / name

    return lay
