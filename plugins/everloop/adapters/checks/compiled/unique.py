"""Rules that a row can only break together with another: no value, or combination of values, twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from everloop.adapters.checks.compiled.rule import Compiler, Judged, Kwargs, column
from everloop.adapters.checks.compiled.several import spoken_of
from everloop.adapters.checks.compiled.values import missing

if TYPE_CHECKING:
    from everloop.adapters.checks.compiled.rule import Schema

SEEDS = (0x9E3779B9, 0x85EBCA6B)
"""Two 64-bit hashes stand for a value: among a billion rows two different values are taken for one with chance 1e-21."""


@dataclass
class Unique:
    """Remembers 16 bytes a row, whatever the values are, and 4 more for its position where the rule leaves rows out."""

    of: pl.Expr | None
    values: Sequence[pl.Expr]
    mostly: float
    positions: bool
    elements: int = 0
    hashes: list[pl.DataFrame] = field(default_factory=list)

    def expressions(self) -> Sequence[pl.Expr]:
        """Rows; the hashes are taken by `add`."""
        return (pl.len(),)

    def add(self, values: Sequence[Any], batch: pl.DataFrame, offset: int) -> None:
        """See `Rule.add`."""
        value = pl.struct(*self.values)
        told = batch.select(
            *(value.hash(seed).alias(str(seed)) for seed in SEEDS), row=pl.int_range(pl.len(), dtype=pl.Int64) + offset
        )
        self.hashes.append(told if self.of is None else told.filter(batch.select(self.of).to_series()))
        self.elements += values[0]

    def judged(self) -> Judged:
        """See `Rule.judged`. Every row of a value that is there twice breaks the rule, the first one too."""
        if not self.hashes:
            return Judged(success=True, elements=0)
        seen = pl.concat(self.hashes)
        twice = seen.filter(pl.struct(*map(str, SEEDS)).is_duplicated())
        success = not seen.height or (seen.height - twice.height) / seen.height >= self.mostly
        rows = tuple(twice["row"].to_list()) if self.positions else ()
        return Judged(success=success, elements=self.elements, broken=twice.height, rows=rows)


def _one(kwargs: Kwargs, schema: Schema, positions: bool) -> Unique:
    name = column(kwargs, schema)
    return Unique(~missing(name, schema), (pl.col(name),), float(kwargs.get("mostly", 1.0)), positions)


def _compound(kwargs: Kwargs, schema: Schema, positions: bool) -> Unique:
    columns = [column({"column": name}, schema) for name in kwargs["column_list"]]
    of = spoken_of(kwargs, schema, columns, "all_values_are_missing")
    values = [pl.when(~missing(name, schema)).then(pl.col(name)).alias(name) for name in columns]
    return Unique(of, values, float(kwargs.get("mostly", 1.0)), positions)


UNIQUE: Mapping[str, Compiler] = {
    "expect_column_values_to_be_unique": _one,
    "expect_compound_columns_to_be_unique": _compound,
}
