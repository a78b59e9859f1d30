"""A release's model in memory: feature columns in, calibrated scores out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.errors import ReleaseError
from everloop.learn.encode import Encoder
from everloop.learn.scoring import contributions
from everloop.release import MODEL, Bundle
from everloop.serve.block import FEW, floats, plain
from everloop.serve.engine.booster import Matrix, XgboostEngine
from everloop.serve.engine.fastest import FASTEST, choose

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Encoded:
    """The model's input, and by row the categorical columns whose value the model never saw."""

    matrix: Matrix
    unknown: Mapping[int, tuple[str, ...]]


class ServedModel:
    """Model, category codes, calibrator and threshold of one release. Safe to call from several threads."""

    def __init__(self, bundle: Bundle, engine: str = FASTEST) -> None:
        """`engine`: see `engine.fastest.choose`. The bundle's bytes were verified: XGBoost crashes on many corrupt files."""
        manifest = bundle.manifest
        self.columns, self.threshold = manifest.columns, manifest.threshold
        self._encoder = Encoder.of(manifest)
        self._x, self._y = np.array(manifest.calibrator.x), np.array(manifest.calibrator.y)
        codes = {name: {value: code for code, value in enumerate(known)} for name, known in manifest.categories.items()}
        self._inputs = [(name, codes.get(name)) for name in self.columns]
        self._xgboost = XgboostEngine(bundle.files[MODEL])
        self._check_width(bundle.id)
        self.engine = choose(bundle.id, bundle.files[MODEL], self._xgboost, len(self.columns), engine)

    def encode(self, columns: Mapping[str, Any], rows: int) -> Encoded:
        """A matrix (rows, columns), cell by cell what `learn.encode.Encoder.table` makes of a table.

        What is absent, null or an unknown category is NaN.
        """
        unknown: dict[int, tuple[str, ...]] = {}
        found = [columns.get(name) if codes is None else _coded(name, codes, columns, unknown) for name, codes in self._inputs]
        if rows == 1:
            only = [None if column is None else plain(column)[0] for column in found]
            return Encoded(np.array([only], dtype=np.float32), unknown)
        if rows <= FEW:
            nothing = [None] * rows
            lists = [nothing if column is None else plain(column) for column in found]
            # NumPy makes NaN of None. One call for all columns: one a column takes longer than the few values of it.
            return Encoded(np.ascontiguousarray(np.array(lists, dtype=np.float32).T), unknown)
        matrix = np.empty((rows, len(found)), dtype=np.float32)
        for position, column in enumerate(found):
            matrix[:, position] = _NAN if column is None else floats(column)
        return Encoded(matrix, unknown)

    def score(self, matrix: Matrix) -> npt.NDArray[np.float64]:
        """Calibrated probabilities of an encoded matrix, bit by bit those of `learn.scoring.Model.score`."""
        raw = np.asarray(self.engine.predict(matrix), dtype=np.float64)
        calibrated: npt.NDArray[np.float64] = np.interp(raw, self._x, self._y)
        return calibrated

    def contributions(self, matrix: Matrix) -> list[dict[str, float]]:
        """What each column adds to the log-odds before calibration (exact TreeSHAP), per row, with the `bias` that all share."""
        shares = contributions(self._xgboost.booster, matrix, self._encoder).tolist()
        return [dict(zip((*self.columns, "bias"), row, strict=True)) for row in shares]

    def _check_width(self, release: str) -> None:
        try:
            self._xgboost.predict(np.full((1, len(self.columns)), np.nan, dtype=np.float32))
        except ValueError as error:
            raise ReleaseError(
                f"Release {release}: its model does not take the {len(self.columns)} columns that its manifest names "
                f"({error}): publish a release whose manifest was written with its model"
            ) from error


def _coded(
    name: str, codes: Mapping[Any, int], columns: Mapping[str, Any], unknown: dict[int, tuple[str, ...]]
) -> list[int | None] | None:
    """A categorical column as codes; notes the rows whose value has none."""
    if (column := columns.get(name)) is None:
        return None
    values = plain(column)
    found = [codes.get(value) for value in values]
    if None in found:
        for row, (value, code) in enumerate(zip(values, found, strict=True)):
            if code is None and value is not None:
                unknown[row] = (*unknown.get(row, ()), name)
    return found
