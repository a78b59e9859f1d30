"""Rules of the table's shape: its columns and the number of its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from everloop.adapters.checks.compiled.numbers import within
from everloop.adapters.checks.compiled.rule import Compiler, Judged, Kwargs

if TYPE_CHECKING:
    from everloop.adapters.checks.compiled.rule import Schema


@dataclass
class Shape:
    """Judged by `judge(rows, columns, kwargs)`."""

    columns: tuple[str, ...]
    kwargs: Kwargs
    judge: Callable[[int, tuple[str, ...], Kwargs], Judged]
    rows: int = 0

    def expressions(self) -> Sequence[pl.Expr]:
        """Rows."""
        return (pl.len(),)

    def add(self, values: Sequence[Any], batch: pl.DataFrame, offset: int) -> None:  # noqa: ARG002, the rule's signature
        """See `Rule.add`."""
        self.rows += values[0]

    def judged(self) -> Judged:
        """See `Rule.judged`."""
        return self.judge(self.rows, self.columns, self.kwargs)


def _compiled(judge: Callable[[int, tuple[str, ...], Kwargs], Judged]) -> Compiler:
    def compiled(kwargs: Kwargs, schema: Schema, positions: bool) -> Shape:  # noqa: ARG001, no row breaks such a rule
        return Shape(tuple(schema), kwargs, judge)

    return compiled


def _between(value: int, kwargs: Kwargs) -> Judged:
    return Judged(success=within(value, kwargs, kwargs.get("min_value"), kwargs.get("max_value")), observed=value)


def _rows_between(rows: int, columns: tuple[str, ...], kwargs: Kwargs) -> Judged:  # noqa: ARG001
    return _between(rows, kwargs)


def _rows_equal(rows: int, columns: tuple[str, ...], kwargs: Kwargs) -> Judged:  # noqa: ARG001
    return Judged(success=rows == kwargs["value"], observed=rows)


def _columns_between(rows: int, columns: tuple[str, ...], kwargs: Kwargs) -> Judged:  # noqa: ARG001
    return _between(len(columns), kwargs)


def _columns_equal(rows: int, columns: tuple[str, ...], kwargs: Kwargs) -> Judged:  # noqa: ARG001
    return Judged(success=len(columns) == kwargs["value"], observed=len(columns))


def _there(rows: int, columns: tuple[str, ...], kwargs: Kwargs) -> Judged:  # noqa: ARG001
    place = kwargs.get("column_index")
    name = kwargs["column"]
    success = name in columns if place is None else len(columns) > place and columns[place] == name
    return Judged(success=success, observed=list(columns))


def _set(rows: int, columns: tuple[str, ...], kwargs: Kwargs) -> Judged:  # noqa: ARG001
    wanted, found = set(kwargs["column_set"]), set(columns)
    return Judged(success=wanted == found if kwargs.get("exact_match", True) else wanted <= found, observed=sorted(found))


def _ordered(rows: int, columns: tuple[str, ...], kwargs: Kwargs) -> Judged:  # noqa: ARG001
    return Judged(success=list(columns) == list(kwargs["column_list"]), observed=list(columns))


SHAPE: Mapping[str, Compiler] = {
    "expect_table_row_count_to_be_between": _compiled(_rows_between),
    "expect_table_row_count_to_equal": _compiled(_rows_equal),
    "expect_table_column_count_to_be_between": _compiled(_columns_between),
    "expect_table_column_count_to_equal": _compiled(_columns_equal),
    "expect_column_to_exist": _compiled(_there),
    "expect_table_columns_to_match_set": _compiled(_set),
    "expect_table_columns_to_match_ordered_list": _compiled(_ordered),
}
