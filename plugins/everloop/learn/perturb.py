"""A model's inputs, changed on purpose: an encoded matrix in, one or more changed copies out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.decide.policy import Direction, Invariance
from everloop.learn.encode import Encoder

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Matrix = npt.NDArray[np.float32]

FAR = 1e30
"""Far beyond any measurement, and within float32."""

NEVER_SEEN = "(never seen)"


@dataclass(frozen=True)
class Extent:
    """What a numeric column was learnt from: its lowest and highest value and its standard deviation."""

    low: float
    high: float
    deviation: float


def extents(learnt: pa.Table, encoder: Encoder) -> dict[str, Extent]:
    """The extent of every numeric column of the rows learnt from; a column without any value is left out."""
    import pyarrow.compute as pc

    found = {}
    for name in encoder.columns:
        if name in encoder.categories:
            continue
        column = learnt[name].cast("float64")
        column = column.filter(pc.is_finite(column))
        if len(column):
            ends = pc.min_max(column).as_py()
            found[name] = Extent(ends["min"], ends["max"], pc.stddev(column).as_py())
    return found


def with_column(matrix: Matrix, position: int, values: npt.ArrayLike) -> Matrix:
    """A copy with one column replaced by `values`, a number or one a row."""
    changed = matrix.copy()
    changed[:, position] = values
    return changed


def unlike(test: Invariance, matrix: Matrix, encoder: Encoder, seed: int) -> Iterator[Matrix]:
    """The matrix with the column of `test` changed in each way that must not matter."""
    position = encoder.columns.index(test.column)
    column = matrix[:, position]
    if test.step is not None:
        yield with_column(matrix, position, column + test.step)
        yield with_column(matrix, position, column - test.step)
    elif test.values:
        for value in test.values:
            yield with_column(matrix, position, encoder.code(test.column, value))
    else:
        yield with_column(matrix, position, np.random.default_rng(seed).permutation(column))


def raised(test: Direction, matrix: Matrix, encoder: Encoder) -> Matrix:
    """The matrix with the column of `test` moved up."""
    position = encoder.columns.index(test.column)
    return with_column(matrix, position, matrix[:, position] + test.step)


def noisy(matrix: Matrix, encoder: Encoder, of: Mapping[str, Extent], share: float, seed: int) -> Matrix:
    """The matrix with a normal error of `share` standard deviations on every number."""
    deviations = np.array([of[name].deviation if name in of else 0.0 for name in encoder.columns])
    errors = np.random.default_rng(seed).standard_normal(matrix.shape) * deviations * share
    changed: Matrix = (matrix + errors).astype(np.float32)
    return changed


def without(matrix: Matrix, encoder: Encoder, views: Sequence[str]) -> Matrix:
    """The matrix with every feature of `views` missing."""
    changed = matrix.copy()
    changed[:, [name.partition("__")[0] in views and "__" in name for name in encoder.columns]] = np.nan
    return changed


def boundary_rows(example: pa.Table, encoder: Encoder, of: Mapping[str, Extent]) -> tuple[list[str], Matrix]:
    """Rows at the edge of what may come and beyond, each with what it is: `example` is one row that did come.

    Nothing known; every category a value that was never seen; every number at its lowest and highest, as far beyond these as they
    lie apart, and farther than anything measured; once in the example's row and once with nothing else known.
    """
    import pyarrow as pa

    usual = encoder.table(example)
    unseen = example
    for name in encoder.categories:
        unseen = unseen.set_column(unseen.column_names.index(name), name, pa.array([NEVER_SEEN]))
    nothing = np.full_like(usual, np.nan)
    rows = [("nothing known", nothing), ("categories never seen", encoder.table(unseen))]
    for name, extent in of.items():
        position, span = encoder.columns.index(name), extent.high - extent.low
        for value in (extent.low, extent.high, extent.low - span, extent.high + span, -FAR, FAR):
            rows += [(f"{name} = {value:g}", with_column(usual, position, value))]
            rows += [(f"{name} = {value:g}, nothing else known", with_column(nothing, position, value))]
    return [name for name, _ in rows], np.concatenate([row for _, row in rows])
