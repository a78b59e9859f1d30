"""Rules that each row keeps or breaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from everloop.adapters.checks.compiled.regexes import contains
from everloop.adapters.checks.compiled.rule import Compiler, Judged, Kwargs, column
from everloop.adapters.checks.compiled.values import bound, members, missing
from everloop.errors import ConfigurationError

if TYPE_CHECKING:
    from everloop.adapters.checks.compiled.rule import Schema


@dataclass
class ByRow:
    """`of`: the rows that the rule speaks of (`None`: all); `broken`: those that break it, of these. Both without nulls.

    Success: at least the share `mostly` of the rows that it speaks of keep it, or there is none.
    """

    of: pl.Expr | None
    broken: pl.Expr
    mostly: float
    positions: bool
    elements: int = 0
    spoken_of: int = 0
    count: int = 0
    found: list[Any] = field(default_factory=list)

    def expressions(self) -> Sequence[pl.Expr]:
        """Rows, rows spoken of, rows broken."""
        spoken_of = pl.len() if self.of is None else self.of.sum()
        return pl.len(), spoken_of, self.broken.sum()

    def add(self, values: Sequence[Any], batch: pl.DataFrame, offset: int) -> None:
        """See `Rule.add`. Positions are looked for only where a row breaks the rule."""
        rows, spoken_of, broken = values
        self.elements += rows
        self.spoken_of += spoken_of
        self.count += broken
        if broken and self.positions:
            self.found.append(batch.select(pl.arg_where(self.broken)).to_series().to_numpy().astype(np.int64) + offset)

    def judged(self) -> Judged:
        """See `Rule.judged`."""
        rows = tuple(np.concatenate(self.found).tolist()) if self.found else ()
        success = self.spoken_of == 0 or _mostly(self.spoken_of, self.count, self.mostly)
        return Judged(success=success, elements=self.elements, broken=self.count, rows=rows)


def _mostly(rows: int, broken: int, share: float) -> bool:
    return (rows - broken) / rows >= share


def of_column(broken: Callable[[str, Kwargs, Schema], pl.Expr]) -> Compiler:
    """A compiler for a rule of one column's values, which nulls keep. `broken(name, kwargs, schema)`."""

    def compiled(kwargs: Kwargs, schema: Schema, positions: bool) -> ByRow:
        name = column(kwargs, schema)
        there = ~missing(name, schema)
        breaks = broken(name, kwargs, schema).fill_null(False)
        return ByRow(there, there & breaks, float(kwargs.get("mostly", 1.0)), positions)

    return compiled


def _not_null(kwargs: Kwargs, schema: Schema, positions: bool) -> ByRow:
    return ByRow(None, missing(column(kwargs, schema), schema), float(kwargs.get("mostly", 1.0)), positions)


def _null(kwargs: Kwargs, schema: Schema, positions: bool) -> ByRow:
    return ByRow(None, ~missing(column(kwargs, schema), schema), float(kwargs.get("mostly", 1.0)), positions)


def outside(value: pl.Expr, low: Any, high: Any, kwargs: Kwargs) -> pl.Expr:
    """Below `low` or above `high`, or at them where `kwargs` is strict; an absent limit is kept by all."""
    if low is None and high is None:
        raise ConfigurationError("min_value and max_value are both absent: give at least one")
    if low is not None and high is not None and low > high:
        raise ConfigurationError(f"min_value {low!r} is above max_value {high!r}")
    told = []
    if low is not None:
        told.append(value <= low if kwargs.get("strict_min") else value < low)
    if high is not None:
        told.append(value >= high if kwargs.get("strict_max") else value > high)
    return pl.any_horizontal(told)


def _not_between(name: str, kwargs: Kwargs, schema: Schema) -> pl.Expr:
    low, high = (bound(kwargs.get(limit), schema[name], name) for limit in ("min_value", "max_value"))
    return outside(pl.col(name), low, high, kwargs)


def _not_in(name: str, kwargs: Kwargs, schema: Schema) -> pl.Expr:
    return ~_in(name, kwargs, schema)


def _in(name: str, kwargs: Kwargs, schema: Schema) -> pl.Expr:
    return pl.col(name).is_in(members(kwargs["value_set"], schema[name]).implode())


def text(name: str, schema: Schema) -> str:
    """`name`, when it is a text column; `ConfigurationError` otherwise."""
    if schema[name] != pl.String:
        raise ConfigurationError(
            f"column {name} is {schema[name]}: this rule is for text; state it for numbers by between or in_set"
        )
    return name


def _no_match(name: str, kwargs: Kwargs, schema: Schema) -> pl.Expr:
    return ~contains(text(name, schema), kwargs["regex"])


def _match(name: str, kwargs: Kwargs, schema: Schema) -> pl.Expr:
    return contains(text(name, schema), kwargs["regex"])


def _matches_none(name: str, kwargs: Kwargs, schema: Schema) -> pl.Expr:
    found = [contains(text(name, schema), regex) for regex in kwargs["regex_list"]]
    return ~(pl.all_horizontal(found) if kwargs.get("match_on", "any") == "all" else pl.any_horizontal(found))


def _matches_one(name: str, kwargs: Kwargs, schema: Schema) -> pl.Expr:
    return pl.any_horizontal([contains(text(name, schema), regex) for regex in kwargs["regex_list"]])


def _length_not_between(name: str, kwargs: Kwargs, schema: Schema) -> pl.Expr:
    return outside(pl.col(text(name, schema)).str.len_chars(), kwargs.get("min_value"), kwargs.get("max_value"), kwargs)


def _length_differs(name: str, kwargs: Kwargs, schema: Schema) -> pl.Expr:
    return pl.col(text(name, schema)).str.len_chars().ne(kwargs["value"])


BY_ROW: Mapping[str, Compiler] = {
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_values_to_be_null": _null,
    "expect_column_values_to_be_between": of_column(_not_between),
    "expect_column_values_to_be_in_set": of_column(_not_in),
    "expect_column_values_to_not_be_in_set": of_column(_in),
    "expect_column_values_to_match_regex": of_column(_no_match),
    "expect_column_values_to_not_match_regex": of_column(_match),
    "expect_column_values_to_match_regex_list": of_column(_matches_none),
    "expect_column_values_to_not_match_regex_list": of_column(_matches_one),
    "expect_column_value_lengths_to_be_between": of_column(_length_not_between),
    "expect_column_value_lengths_to_equal": of_column(_length_differs),
}
