"""The contract of `ports.Cluster`: Spark's workers, and the fake that stands for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from everloop.adapters.lake import DeltaLake
from everloop.adapters.spark.cluster import SparkCluster, encoded
from everloop.decide.statistics.compare import auc
from everloop.errors import ConfigurationError
from everloop.learn.encode import Encoder
from everloop.learn.fit import Length
from everloop.ports import Cluster
from fakes.cluster import MemoryCluster
from fakes.lake import MemoryLake

ENCODER = Encoder(("carrier", "v__x", "v__seen", "v__late"), {"carrier": ("AA", "B6", "UA")})
SETTINGS = {"objective": "binary:logistic", "eval_metric": "logloss", "tree_method": "hist", "max_depth": 3, "seed": 7}
LENGTH = Length(rounds=30, early_stopping=5, every=50)
STAGED = "run 1/examples"


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """Rows as training stages them: nulls, values unknown to the encoder, parts that are not fitted on."""
    random, size = np.random.default_rng(3), 6_000
    carrier, x = random.choice(["AA", "B6", "UA", "ZZ"], size), random.normal(size=size)
    chance = 1 / (1 + np.exp(-(1.5 * x + 2 * (carrier == "UA") - 0.5)))
    return pa.table(
        {
            "key": [str(n) for n in range(size)],
            "carrier": pa.array(carrier, mask=random.uniform(size=size) < 0.05),
            "v__x": pa.array(x, mask=random.uniform(size=size) < 0.05),
            "v__seen": pa.array(random.integers(0, 9, size), mask=random.uniform(size=size) < 0.05),
            "v__late": pa.array(random.uniform(size=size) < 0.3),
            "label": random.uniform(size=size) < chance,
            "part": np.repeat(["fit", "purged", "validation", "calibration", "holdout"], [3_000, 500, 1_000, 500, 1_000]),
        }
    )


@dataclass
class World:
    cluster: Cluster
    lake: Any


@pytest.fixture(scope="module")
def on_spark(spark: Any, spark_master: str, rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> World:
    lake = DeltaLake(str(tmp_path_factory.mktemp("lake")))
    lake.stage(STAGED, rows)
    return World(SparkCluster(spark_master, lake), lake)


@pytest.fixture(params=["memory", "spark"])
def world(request: pytest.FixtureRequest, rows: pa.Table) -> World:
    if request.param == "spark":
        return request.getfixturevalue("on_spark")
    lake = MemoryLake()
    lake.stage(STAGED, rows)
    return World(MemoryCluster(lake), lake)


def test_two_workers_fit_a_model_that_ranks_rows_they_have_not_seen(world: World, rows: pa.Table) -> None:
    fitted = world.cluster.fit(STAGED, ENCODER, SETTINGS, LENGTH, workers=2)
    later = rows.slice(5_000)
    scores = fitted.booster.inplace_predict(ENCODER.table(later))
    found = auc(later["label"].to_numpy(zero_copy_only=False), scores)
    assert found is not None
    assert found.value > 0.8
    assert (fitted.device, fitted.workers) == ("spark", 2)
    assert fitted.booster.num_boosted_rounds() == 1 + int(np.argmin(fitted.losses))
    assert fitted.booster.feature_names == list(ENCODER.columns)


def test_a_name_under_which_nothing_is_staged_is_an_error(world: World) -> None:
    with pytest.raises(Exception, match="nowhere"):
        world.cluster.fit("run/nowhere", ENCODER, SETTINGS, LENGTH, workers=2)


def test_spark_encodes_rows_as_the_encoder_does(spark: Any, on_spark: World, rows: pa.Table) -> None:
    frame = spark.read.parquet(on_spark.lake.staged_uri(STAGED))
    found = encoded(frame, ENCODER).toArrow()
    fitted_on = pa.concat_tables([rows.slice(0, 3_000), rows.slice(3_500, 1_000)])
    ours = np.column_stack([found[name].to_numpy() for name in ENCODER.columns])
    np.testing.assert_array_equal(ours, ENCODER.table(fitted_on))
    np.testing.assert_array_equal(found["label"].to_numpy() == 1, fitted_on["label"].to_numpy())
    assert found["validation"].to_pylist() == [part == "validation" for part in fitted_on["part"].to_pylist()]


def test_a_lake_that_spark_cannot_read_is_refused(rows: pa.Table) -> None:
    with pytest.raises(ConfigurationError, match=r"MemoryLake: set TrainingPolicy\.workers to 1"):
        SparkCluster("local[2]", MemoryLake()).fit(STAGED, ENCODER, SETTINGS, LENGTH, workers=2)
