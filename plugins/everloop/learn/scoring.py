"""How a release scores rows: encode, predict, calibrate, decide. The batch and the scoring service share it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from everloop.learn.encode import Encoder
from everloop.release import MODEL, Bundle, Calibrator

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa
    import xgboost


def load_booster(model: bytes, threads: int = 1) -> xgboost.Booster:
    """A Booster of UBJ bytes. The bytes must have been verified: XGBoost accepts or crashes on many corrupt files."""
    import xgboost

    booster = xgboost.Booster(model_file=bytearray(model))
    booster.set_param({"nthread": threads, "device": "cpu"})
    return booster


def calibrated(raw: npt.NDArray[np.float32], calibrator: Calibrator) -> npt.NDArray[np.float64]:
    """Raw probabilities to calibrated ones: linear between the breakpoints, constant beyond the ends."""
    return np.interp(np.asarray(raw, dtype=np.float64), calibrator.x, calibrator.y)


def contributions(booster: xgboost.Booster, matrix: npt.NDArray[np.float32], encoder: Encoder) -> npt.NDArray[np.float32]:
    """SHAP values (rows, columns + 1) in log-odds of the uncalibrated score; the last column is the expected value.

    Exact path-dependent TreeSHAP (Lundberg et al. 2020, From local explanations to global understanding with explainable AI
    for trees, algorithm 2), as XGBoost computes it.
    """
    import xgboost

    rows = xgboost.DMatrix(
        matrix, feature_names=list(encoder.columns), feature_types=encoder.kinds, enable_categorical=True, nthread=1
    )
    found: npt.NDArray[np.float32] = booster.predict(rows, pred_contribs=True)
    return found


class Model:
    """A release's model in memory, ready to score. Safe to share between threads: scoring changes nothing."""

    def __init__(self, model: bytes, encoder: Encoder, calibrator: Calibrator, threads: int = 1) -> None:
        self.encoder = encoder
        self._calibrator = calibrator
        self._booster = load_booster(model, threads)

    @classmethod
    def of(cls, bundle: Bundle, threads: int = 1) -> Model:
        """The model of a release, after its bytes were verified; `ReleaseError` when they are not what the manifest pins."""
        bundle.verify()
        return cls(bundle.files[MODEL], Encoder.of(bundle.manifest), bundle.manifest.calibrator, threads)

    def score(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Calibrated probabilities of an encoded matrix (rows, columns)."""
        if not len(matrix):
            return np.empty(0)
        return calibrated(self._booster.inplace_predict(matrix), self._calibrator)

    def contributions(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See `contributions`."""
        return contributions(self._booster, matrix, self.encoder)


def score(bundle: Bundle, table: pa.Table) -> pa.Table:
    """Columns `score` (calibrated probability) and `decision` (score at or above the threshold), a row per row of `table`.

    `table` holds the release's model inputs: request fields and `<view>__<feature>` columns. `DataError` names lost ones. All
    cores work on it; each row is scored by itself, so their number changes no bit.
    """
    import pyarrow as pa

    scores = _model(_ById(bundle)).score(Encoder.of(bundle.manifest).table(table))
    return pa.table({"score": scores, "decision": scores >= bundle.manifest.threshold})


class _ById:
    """A bundle that equals every other bundle of the same release, so that its model is loaded once."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.id = bundle, bundle.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and other.id == self.id


@lru_cache(maxsize=4)
def _model(of: _ById) -> Model:
    return Model.of(of.bundle, os.cpu_count() or 1)


def top_contributions(values: npt.NDArray[np.float32], columns: tuple[str, ...]) -> Mapping[str, float]:
    """Mean absolute contribution by column, largest first, of `Model.contributions`."""
    means = np.abs(values[:, :-1]).mean(axis=0)
    order = np.argsort(-means, kind="stable")
    return {columns[i]: float(means[i]) for i in order}
