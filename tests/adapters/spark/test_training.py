"""Two workers teach a model as good as one machine's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from everloop.adapters.spark.training import fit
from everloop.errors import TrainingError
from everloop.learn.fit import Length

KINDS = {"group": "c", "first": "q", "second": "q"}
SETTINGS = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "tree_method": "hist",
    "max_depth": 4,
    "learning_rate": 0.3,
    "seed": 7,
}
LENGTH = Length(rounds=40, early_stopping=5, every=50)


def world(folder: Path, rows: int = 6000) -> tuple[list[str], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    chance = np.random.default_rng(5)
    inputs = chance.normal(size=(rows, 3)).astype(np.float32)
    inputs[:, 0] = chance.integers(0, 8, rows)
    inputs[chance.random((rows, 3)) < 0.03] = np.nan
    known = np.nan_to_num(inputs)
    labels = known[:, 1] + known[:, 2] * (known[:, 0] % 2) + chance.normal(size=rows) > 0
    columns = {name: inputs[:, n] for n, name in enumerate(KINDS)}
    table = pa.table({**columns, "label": labels.astype(np.float32), "validation": np.arange(rows) >= 4500})
    pq.write_table(table, folder / "encoded.parquet", row_group_size=1000)
    return [str(folder / "encoded.parquet")], inputs, labels


def test_two_workers_are_as_good_as_one_machine(spark: Any, tmp_path: Path) -> None:
    import xgboost

    uris, inputs, labels = world(tmp_path)
    fitted = fit(spark.read.parquet(*uris), KINDS, SETTINGS, LENGTH, workers=2)

    matrices = [
        xgboost.DMatrix(
            inputs[part], labels[part], feature_names=list(KINDS), feature_types=list(KINDS.values()), enable_categorical=True
        )
        for part in (slice(0, 4500), slice(4500, None))
    ]
    single = xgboost.train(
        SETTINGS,
        matrices[0],
        num_boost_round=40,
        evals=[(matrices[1], "v")],
        callbacks=[xgboost.callback.EarlyStopping(rounds=5, save_best=True)],
        verbose_eval=False,
    )
    aucs = [roc_auc_score(labels[4500:], each.predict(matrices[1])) for each in (fitted.booster, single)]
    assert abs(aucs[0] - aucs[1]) < 0.005
    assert aucs[0] > 0.8
    assert fitted.booster.num_boosted_rounds() == 1 + int(np.argmin(fitted.losses))
    assert fitted.booster.feature_names == list(KINDS)
    assert fitted.booster.feature_types == list(KINDS.values())


def test_a_parameter_that_does_not_exist_is_a_training_error(spark: Any, tmp_path: Path) -> None:
    uris, _, _ = world(tmp_path, rows=600)
    with pytest.raises(TrainingError, match="workers failed"):
        fit(spark.read.parquet(*uris), KINDS, {**SETTINGS, "max_depth": -3}, LENGTH, workers=2)
