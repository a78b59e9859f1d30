"""Rules of one number of a whole column, from sums that batches add up to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from everloop.adapters.checks.compiled.rule import Compiler, Judged, Kwargs, column
from everloop.adapters.checks.compiled.values import bound, known
from everloop.errors import ConfigurationError

if TYPE_CHECKING:
    from everloop.adapters.checks.compiled.rule import Schema


def within(value: Any, kwargs: Kwargs, low: Any, high: Any) -> bool:
    """Whether `value` keeps the limits; no value keeps none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return False
    above = low is None or (value > low if kwargs.get("strict_min") else value >= low)
    below = high is None or (value < high if kwargs.get("strict_max") else value <= high)
    return above and below


@dataclass
class Moments:
    """Count, mean and sum of squared deviations, merged by Chan, Golub and LeVeque 1979, eq. 2.1."""

    values: pl.Expr
    kwargs: Kwargs
    of: Callable[[Moments], float | None]
    count: int = 0
    total: float = 0
    mean: float = 0.0
    squares: float = 0.0

    def expressions(self) -> Sequence[pl.Expr]:
        """Count, sum, mean, variance of the values that are there."""
        values = self.values.cast(pl.Float64)
        return values.len(), self.values.sum(), values.mean(), values.var(ddof=0)

    def add(self, values: Sequence[Any], batch: pl.DataFrame, offset: int) -> None:  # noqa: ARG002, the rule's signature
        """See `Rule.add`."""
        count, total, mean, variance = values
        if count:
            merged, apart = self.count + count, mean - self.mean
            self.squares += variance * count + apart * apart * self.count * count / merged
            self.mean += apart * count / merged
            self.count, self.total = merged, self.total + total

    def judged(self) -> Judged:
        """See `Rule.judged`."""
        value = self.of(self)
        return Judged(
            success=within(value, self.kwargs, self.kwargs.get("min_value"), self.kwargs.get("max_value")), observed=value
        )


def _mean(moments: Moments) -> float | None:
    return moments.total / moments.count if moments.count else None


def _sum(moments: Moments) -> float | None:
    return moments.total


def _stdev(moments: Moments) -> float | None:
    return math.sqrt(moments.squares / (moments.count - 1)) if moments.count > 1 else None


def _moments(of: Callable[[Moments], float | None]) -> Compiler:
    def compiled(kwargs: Kwargs, schema: Schema, positions: bool) -> Moments:  # noqa: ARG001, no row breaks such a rule
        name = numeric(column(kwargs, schema), schema)
        return Moments(known(name, schema), kwargs, of)

    return compiled


def numeric(name: str, schema: Schema) -> str:
    """`name`, when it is a column of numbers; `ConfigurationError` otherwise."""
    if not schema[name].is_numeric():
        raise ConfigurationError(f"column {name} is {schema[name]}: this rule is for numbers")
    return name


@dataclass
class Extreme:
    """The smallest or the largest value."""

    expression: pl.Expr
    better: Callable[[Any, Any], Any]
    kwargs: Kwargs
    limits: tuple[Any, Any]
    value: Any = None

    def expressions(self) -> Sequence[pl.Expr]:
        """The batch's extreme."""
        return (self.expression,)

    def add(self, values: Sequence[Any], batch: pl.DataFrame, offset: int) -> None:  # noqa: ARG002
        """See `Rule.add`."""
        if values[0] is not None:
            self.value = values[0] if self.value is None else self.better(self.value, values[0])

    def judged(self) -> Judged:
        """See `Rule.judged`."""
        return Judged(success=within(self.value, self.kwargs, *self.limits), observed=self.value)


def _extreme(take: Callable[[pl.Expr], pl.Expr], better: Callable[[Any, Any], Any]) -> Compiler:
    def compiled(kwargs: Kwargs, schema: Schema, positions: bool) -> Extreme:  # noqa: ARG001
        name = column(kwargs, schema)
        low, high = (bound(kwargs.get(limit), schema[name], name) for limit in ("min_value", "max_value"))
        return Extreme(take(known(name, schema)), better, kwargs, (low, high))

    return compiled


@dataclass
class Quantiles:
    """Quantiles of all values, which are kept: 8 bytes a row. Judged by `judge(values)`."""

    values: pl.Expr
    judge: Callable[[np.ndarray[Any, np.dtype[np.float64]]], Judged]
    kept: list[Any] = field(default_factory=list)

    def expressions(self) -> Sequence[pl.Expr]:
        """The batch's values."""
        return (self.values.cast(pl.Float64).implode(),)

    def add(self, values: Sequence[Any], batch: pl.DataFrame, offset: int) -> None:  # noqa: ARG002
        """See `Rule.add`."""
        self.kept.append(values[0].to_numpy())

    def judged(self) -> Judged:
        """See `Rule.judged`."""
        return self.judge(np.concatenate(self.kept) if self.kept else np.empty(0))


def _median(kwargs: Kwargs, schema: Schema, positions: bool) -> Quantiles:  # noqa: ARG001
    def judge(values: Any) -> Judged:
        value = float(np.median(values)) if len(values) else None
        return Judged(success=within(value, kwargs, kwargs.get("min_value"), kwargs.get("max_value")), observed=value)

    return Quantiles(known(numeric(column(kwargs, schema), schema), schema), judge)


def _quantiles(kwargs: Kwargs, schema: Schema, positions: bool) -> Quantiles:  # noqa: ARG001
    method: Any = kwargs.get("allow_relative_error") or "nearest"
    shares, ranges = kwargs["quantile_ranges"]["quantiles"], kwargs["quantile_ranges"]["value_ranges"]

    def judge(values: Any) -> Judged:
        found = [float(value) for value in np.quantile(values, shares, method=method)] if len(values) else [None] * len(shares)
        success = all(_in_range(value, *limits) for value, limits in zip(found, ranges, strict=True))
        return Judged(success=success, observed={"quantiles": shares, "values": found})

    return Quantiles(known(numeric(column(kwargs, schema), schema), schema), judge)


def _in_range(value: float | None, low: float | None, high: float | None) -> bool:
    """Great Expectations allows a limit to be missed by a ten-thousandth."""
    if value is None:
        return False
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    return low <= value <= high or any(math.isclose(value, limit, rel_tol=1e-4) for limit in (low, high))


NUMBERS: Mapping[str, Compiler] = {
    "expect_column_mean_to_be_between": _moments(_mean),
    "expect_column_sum_to_be_between": _moments(_sum),
    "expect_column_stdev_to_be_between": _moments(_stdev),
    "expect_column_min_to_be_between": _extreme(pl.Expr.min, min),
    "expect_column_max_to_be_between": _extreme(pl.Expr.max, max),
    "expect_column_median_to_be_between": _median,
    "expect_column_quantile_values_to_be_between": _quantiles,
}
