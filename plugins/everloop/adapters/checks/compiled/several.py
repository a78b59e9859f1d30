"""Rules of several columns in one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from everloop.adapters.checks.compiled.byrow import ByRow
from everloop.adapters.checks.compiled.rule import Compiler, Kwargs, column
from everloop.adapters.checks.compiled.values import members, missing
from everloop.errors import ConfigurationError

if TYPE_CHECKING:
    from everloop.adapters.checks.compiled.rule import Schema

_PAIR_IGNORED = {
    "both_values_are_missing": pl.all_horizontal,
    "either_value_is_missing": pl.any_horizontal,
}
_LIST_IGNORED = {
    "all_values_are_missing": pl.all_horizontal,
    "any_value_is_missing": pl.any_horizontal,
}


def spoken_of(kwargs: Kwargs, schema: Schema, columns: Sequence[str], default: str) -> pl.Expr | None:
    """The rows that `ignore_row_if` leaves; `None`: all of them."""
    how = kwargs.get("ignore_row_if", default)
    if how in ("never", "neither"):
        return None
    ignored = {**_PAIR_IGNORED, **_LIST_IGNORED}.get(how)
    if ignored is None:
        raise ConfigurationError(
            f'ignore_row_if is "{how}": use one of {sorted([*_PAIR_IGNORED, *_LIST_IGNORED, "never", "neither"])}'
        )
    return ~ignored([missing(name, schema) for name in columns])


def _by_row(of: pl.Expr | None, holds: pl.Expr, kwargs: Kwargs, positions: bool) -> ByRow:
    """A comparison with a missing value does not hold."""
    broken = ~holds.fill_null(False)
    return ByRow(of, broken if of is None else of & broken, float(kwargs.get("mostly", 1.0)), positions)


def _pair(kwargs: Kwargs, schema: Schema) -> tuple[str, str, pl.Expr | None]:
    a, b = column(kwargs, schema, "column_A"), column(kwargs, schema, "column_B")
    return a, b, spoken_of(kwargs, schema, (a, b), "both_values_are_missing")


def _there(a: str, b: str, schema: Schema) -> pl.Expr:
    return ~missing(a, schema) & ~missing(b, schema)


def _greater(kwargs: Kwargs, schema: Schema, positions: bool) -> ByRow:
    a, b, of = _pair(kwargs, schema)
    holds = pl.col(a) >= pl.col(b) if kwargs.get("or_equal") else pl.col(a) > pl.col(b)
    return _by_row(of, _there(a, b, schema) & holds, kwargs, positions)


def _equal(kwargs: Kwargs, schema: Schema, positions: bool) -> ByRow:
    a, b, of = _pair(kwargs, schema)
    return _by_row(of, _there(a, b, schema) & (pl.col(a) == pl.col(b)), kwargs, positions)


def _in_pairs(kwargs: Kwargs, schema: Schema, positions: bool) -> ByRow:
    a, b, of = _pair(kwargs, schema)
    allowed = [_is(a, x, schema) & _is(b, y, schema) for x, y in kwargs["value_pairs_set"]]
    return _by_row(of, pl.any_horizontal(allowed), kwargs, positions)


def _is(name: str, value: object, schema: Schema) -> pl.Expr:
    if value is None:
        return missing(name, schema)
    return pl.col(name).is_in(members([value], schema[name]).implode()).fill_null(False)


def _columns(kwargs: Kwargs, schema: Schema) -> list[str]:
    return [column({"column": name}, schema) for name in kwargs["column_list"]]


def _sum(kwargs: Kwargs, schema: Schema, positions: bool) -> ByRow:
    columns = _columns(kwargs, schema)
    of = spoken_of(kwargs, schema, columns, "all_values_are_missing")
    there = ~pl.any_horizontal([missing(name, schema) for name in columns])
    total = pl.sum_horizontal([pl.col(name) for name in columns])
    return _by_row(of, there & (total == kwargs["sum_total"]), kwargs, positions)


def _distinct_within(kwargs: Kwargs, schema: Schema, positions: bool) -> ByRow:
    columns = _columns(kwargs, schema)
    of = spoken_of(kwargs, schema, columns, "all_values_are_missing")
    alike = [
        (_there(a, b, schema) & (pl.col(a) == pl.col(b))).fill_null(False) | (missing(a, schema) & missing(b, schema))
        for n, a in enumerate(columns)
        for b in columns[n + 1 :]
    ]
    return _by_row(of, ~pl.any_horizontal(alike), kwargs, positions)


SEVERAL: Mapping[str, Compiler] = {
    "expect_column_pair_values_a_to_be_greater_than_b": _greater,
    "expect_column_pair_values_to_be_equal": _equal,
    "expect_column_pair_values_to_be_in_set": _in_pairs,
    "expect_multicolumn_sum_to_equal": _sum,
    "expect_select_column_values_to_be_unique_within_record": _distinct_within,
}
