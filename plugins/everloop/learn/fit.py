"""How a booster is fitted: one seeded run with early stopping, the same bytes every time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.decide.policy import TrainingPolicy
from everloop.errors import TrainingError
from everloop.learn import device as devices
from everloop.learn.encode import Encoder

if TYPE_CHECKING:
    import numpy.typing as npt
    import xgboost

Labelled = tuple["npt.NDArray[np.float32]", "npt.NDArray[np.bool_]"]
"""An encoded matrix (rows, columns) and its labels (rows)."""


@dataclass(frozen=True)
class Fitted:
    """A booster cut back to its best round, that round's validation log loss by round, and where it was fitted."""

    booster: xgboost.Booster
    losses: tuple[float, ...]
    device: str

    @property
    def loss(self) -> float:
        """The best validation log loss."""
        return min(self.losses)


def parameters(policy: TrainingPolicy, overrides: Mapping[str, float | int | str]) -> dict[str, float | int | str]:
    """XGBoost's parameters of a fit, but for those that do not change the model (device, threads)."""
    fixed = {"objective": "binary:logistic", "eval_metric": "logloss", "tree_method": "hist"}
    return {**policy.parameters, **overrides, **fixed, "seed": policy.seed}


def fit(
    training: Labelled,
    validation: Labelled,
    encoder: Encoder,
    settings: Mapping[str, float | int | str],
    *,
    rounds: int,
    early_stopping: int,
    threads: int,
    device: str | None = None,
) -> Fitted:
    """Fit on `training`, stop early on `validation`. Raises `TrainingError` when XGBoost trained elsewhere than it was told.

    On the CPU the bytes do not depend on `threads`.
    """
    import xgboost

    wanted = device or devices.available()
    matrix = _matrix(training, encoder, threads)
    history: dict[str, dict[str, list[float]]] = {}
    booster = xgboost.train(
        {**settings, "device": wanted, "nthread": threads},
        matrix,
        num_boost_round=rounds,
        evals=[(_matrix(validation, encoder, threads, matrix), "validation")],
        evals_result=history,
        callbacks=[xgboost.callback.EarlyStopping(rounds=early_stopping, save_best=True)],
        verbose_eval=False,
    )
    if (found := devices.used(booster)) != wanted:
        raise TrainingError(f"Training was to run on {wanted} and ran on {found}: check the driver, or train without a GPU")
    return Fitted(booster, tuple(history["validation"]["logloss"]), wanted)


def _matrix(rows: Labelled, encoder: Encoder, threads: int, like: xgboost.DMatrix | None = None) -> xgboost.QuantileDMatrix:
    import xgboost

    return xgboost.QuantileDMatrix(
        rows[0],
        label=rows[1],
        ref=like,
        feature_names=list(encoder.columns),
        feature_types=encoder.kinds,
        enable_categorical=True,
        nthread=threads,
    )
