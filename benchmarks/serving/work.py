"""The work that every server does: one model, rows with missing values, and the probabilities that are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xgboost

FEATURES = tuple(f"f{n}" for n in range(27))
ASKED = 100
"""Rows that requests are made of, in turn."""
MISSING = 0.05
"""The share of values that are not there."""

Row = Sequence[float | None]


@dataclass(frozen=True)
class Work:
    """`model`: an XGBoost classifier as UBJ. `scores`: what `Booster.inplace_predict` says of each of `rows`."""

    model: Path
    rows: tuple[Row, ...]
    scores: tuple[float, ...]


def make(folder: Path, rows: int = 10_000, trees: int = 400) -> Work:
    """Train the model on a seeded synthetic set and keep it in `folder`; equal arguments make equal work."""
    given = values(rows)
    booster = _trained(given, trees)
    path = folder / "model.ubj"
    booster.save_model(path)
    asked = given[:ASKED]
    scores = xgboost.Booster(model_file=path).inplace_predict(asked)
    return Work(path, tuple(_sent(row) for row in asked), tuple(float(score) for score in scores))


def values(rows: int) -> npt.NDArray[np.float32]:
    """Normal values of four decimals, as JSON would carry them, some of them missing."""
    random = np.random.default_rng(0)
    found = np.round(random.normal(size=(rows, len(FEATURES))), 4).astype(np.float32)
    found[random.random(found.shape) < MISSING] = np.nan
    return found


def _trained(given: npt.NDArray[np.float32], trees: int) -> xgboost.Booster:
    known = np.nan_to_num(given)
    odds = known[:, 0] + known[:, 1] * known[:, 2] - np.abs(known[:, 3])
    labels = np.random.default_rng(1).random(len(given)) < 1 / (1 + np.exp(-odds))
    parameters = {"objective": "binary:logistic", "max_depth": 6, "eta": 0.1, "seed": 0}
    return xgboost.train(parameters, xgboost.DMatrix(given, labels, feature_names=list(FEATURES)), trees)


def _sent(row: npt.NDArray[np.float32]) -> Row:
    return tuple(None if np.isnan(value) else round(float(value), 4) for value in row)
