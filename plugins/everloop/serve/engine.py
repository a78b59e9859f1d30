"""A release's model in memory: feature columns in, calibrated scores out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before xgboost starts its threads: spinning ones starve a shared machine

import numpy as np
import numpy.typing as npt
import xgboost  # noqa: F401 - takes seconds: the process pays them when it starts, not the first release when it loads

from everloop.errors import ReleaseError
from everloop.learn.scoring import Model
from everloop.release import Bundle

Matrix = npt.NDArray[np.float32]


class Engine:
    """Model, category codes and threshold of one release. Safe to call from several threads.

    The model runs on one thread: one row is far too little work to share, requests run side by side instead.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.columns = bundle.manifest.columns
        self.threshold = bundle.manifest.threshold
        self._model = Model.of(bundle, threads=1)
        self._codes = {
            name: {value: code for code, value in enumerate(known)} for name, known in bundle.manifest.categories.items()
        }
        try:
            self.score(self.encode([{}]))
        except ValueError as error:
            raise ReleaseError(
                f"Release {bundle.id}: its model does not take the {len(self.columns)} columns that its manifest names "
                f"({error}): publish a release whose manifest was written with its model"
            ) from error

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> Matrix:
        """A matrix of len(rows) x len(columns), cell by cell what `learn.encode.Encoder.table` makes of a table.

        What is absent, null or an unknown category is NaN. For a row or two this is far quicker than an Arrow table.
        """
        matrix = np.full((len(rows), len(self.columns)), np.nan, dtype=np.float32)
        for row, values in enumerate(rows):
            for position, name in enumerate(self.columns):
                value: Any = values.get(name)
                if name in self._codes:
                    value = self._codes[name].get(value)
                if value is not None:
                    matrix[row, position] = value
        return matrix

    def unknown(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """The categorical columns whose value the model never saw."""
        return tuple(name for name, codes in self._codes.items() if (value := row.get(name)) is not None and value not in codes)

    def score(self, matrix: Matrix) -> npt.NDArray[np.float64]:
        """Calibrated probabilities of an encoded matrix."""
        return self._model.score(matrix)

    def contributions(self, matrix: Matrix) -> list[dict[str, float]]:
        """What each column adds to the log-odds before calibration (exact TreeSHAP), per row, with the `bias` that all share."""
        shares = self._model.contributions(matrix).tolist()
        return [dict(zip((*self.columns, "bias"), row, strict=True)) for row in shares]
