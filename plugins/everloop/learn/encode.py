"""How rows become the model's input: one float32 matrix, columns in a fixed order, categories as codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.errors import ConfigurationError, DataError
from everloop.release import FeaturePlan, Manifest, RequestFunctionPlan, ViewPlan

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa


OUTCOME = ("label", "label_time")
"""What examples call the outcome and when it was known: never what a prediction is made of."""


@dataclass(frozen=True)
class Encoder:
    """Rows to float32: a category's code is its position among the known values, everything unknown, null or absent is NaN.

    XGBoost itself would raise on an unseen string and accept a code of 2.5 in silence: it is never given either.
    """

    columns: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, manifest: Manifest) -> Encoder:
        """The encoder of a release."""
        return cls(manifest.columns, manifest.categories)

    @property
    def kinds(self) -> list[str]:
        """XGBoost's feature types: `c` for categories, `q` for quantities."""
        return ["c" if name in self.categories else "q" for name in self.columns]

    def table(self, rows: pa.Table) -> npt.NDArray[np.float32]:
        """(rows, columns) of a table that has every column; `DataError` names those that it lacks."""
        if lost := [name for name in self.columns if name not in rows.column_names]:
            raise DataError(f"The model's inputs {lost} are not columns of the rows: join the release's feature service first")
        matrix = np.empty((rows.num_rows, len(self.columns)), dtype=np.float32)
        for position, name in enumerate(self.columns):
            matrix[:, position] = self._codes(rows[name], name) if name in self.categories else _numbers(rows[name])
        return matrix

    def code(self, name: str, value: str | float) -> float:
        """What the model is given for one value of a column; NaN for an unknown category."""
        if name not in self.categories:
            return float(value)
        return self.categories[name].index(str(value)) if value in self.categories[name] else float("nan")

    def _codes(self, column: pa.ChunkedArray, name: str) -> npt.NDArray[np.float64]:
        import pyarrow as pa
        import pyarrow.compute as pc

        codes = pc.index_in(column.cast("string"), value_set=pa.array(self.categories[name], type=pa.string()), skip_nulls=True)
        return _numbers(codes)


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Any numeric or boolean column as float64, null as NaN."""
    values: npt.NDArray[np.float64] = column.cast("float64").to_numpy()
    return values


def known_values(column: Iterable[pa.ChunkedArray]) -> tuple[str, ...]:
    """The distinct values of a categorical column, given in pieces, sorted: the codes that a model is taught."""
    found = {value for piece in column for value in piece.unique().to_pylist()}
    return tuple(sorted(value for value in found if value is not None))


def feature_types(plan: FeaturePlan) -> dict[str, str]:
    """The feature columns of a plan, `<view>__<feature>` to type, in the plan's order."""
    views: list[ViewPlan | RequestFunctionPlan] = [*plan.views, *plan.functions]
    return {f"{view.name}__{name}": kind for view in views for name, kind in view.features.items()}


def model_columns(plan: FeaturePlan, categories: Sequence[str]) -> tuple[str, ...]:
    """The model's inputs in order: the categories, then every feature of the plan as `<view>__<feature>`.

    Raises `ConfigurationError` for a text or time feature that is not a category, since trees split on numbers, and for an
    input that is the label.
    """
    kinds = feature_types(plan)
    found = [
        f'"{name}" is an input: it is what the examples call the outcome, known only later; leave it out, or give another column '
        "another name"
        for name in OUTCOME
        if name in plan.request or name in categories
    ]
    found += [
        f'feature "{name}" has type "{kind}": list it in UseCase.categories, or make it a number in the feature repository'
        for name, kind in kinds.items()
        if kind not in {"int", "float", "bool"} and name not in categories
    ]
    found += [
        f'category "{name}" is neither a request field nor a feature: fields are {sorted(plan.request)}'
        for name in categories
        if name not in plan.request and name not in kinds
    ]
    if found:
        raise ConfigurationError(f'Feature service "{plan.service}":\n' + "\n".join(f"  - {problem}" for problem in found))
    return (*categories, *(name for name in kinds if name not in categories))
