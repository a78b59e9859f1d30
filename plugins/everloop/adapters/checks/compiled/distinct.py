"""Rules of the values that a column has, each with how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from everloop.adapters.checks.compiled.numbers import within
from everloop.adapters.checks.compiled.rule import Compiler, Judged, Kwargs, column
from everloop.adapters.checks.compiled.values import known, members

if TYPE_CHECKING:
    from everloop.adapters.checks.compiled.rule import Schema

VALUE, COUNT = "value", "count"


@dataclass
class Distinct:
    """Remembers every value once. Judged by `judge(values with counts, rows, kwargs)`."""

    values: pl.Expr
    kwargs: Kwargs
    judge: Callable[[pl.DataFrame, int, Kwargs], Judged]
    rows: int = 0
    seen: list[pl.DataFrame] = field(default_factory=list)

    def expressions(self) -> Sequence[pl.Expr]:
        """Rows, and the values with their counts."""
        return pl.len(), self.values.alias(VALUE).value_counts(name=COUNT).implode()

    def add(self, values: Sequence[Any], batch: pl.DataFrame, offset: int) -> None:  # noqa: ARG002, the rule's signature
        """See `Rule.add`."""
        self.rows += values[0]
        told = values[1].struct.unnest()
        self.seen = [pl.concat([*self.seen, told]).group_by(VALUE).agg(pl.col(COUNT).sum())]

    def judged(self) -> Judged:
        """See `Rule.judged`."""
        counts = self.seen[0] if self.seen else pl.DataFrame({VALUE: [], COUNT: []})
        return self.judge(counts, self.rows, self.kwargs)


def _compiled(judge: Callable[[pl.DataFrame, int, Kwargs], Judged]) -> Compiler:
    def compiled(kwargs: Kwargs, schema: Schema, positions: bool) -> Distinct:  # noqa: ARG001, no row breaks such a rule
        return Distinct(known(column(kwargs, schema), schema), kwargs, judge)

    return compiled


def _number(value: float | None, kwargs: Kwargs) -> Judged:
    return Judged(success=within(value, kwargs, kwargs.get("min_value"), kwargs.get("max_value")), observed=value)


def _count(counts: pl.DataFrame, rows: int, kwargs: Kwargs) -> Judged:  # noqa: ARG001
    return _number(counts.height, kwargs)


def _share(counts: pl.DataFrame, rows: int, kwargs: Kwargs) -> Judged:  # noqa: ARG001
    total = int(counts[COUNT].sum())
    return _number(counts.height / total if total else 0, kwargs)


def _share_there(counts: pl.DataFrame, rows: int, kwargs: Kwargs) -> Judged:
    return _number(int(counts[COUNT].sum()) / rows if rows else 0, kwargs)


def _wanted(counts: pl.DataFrame, kwargs: Kwargs) -> pl.Series:
    return members(kwargs["value_set"], counts.schema[VALUE]).unique()


def _strangers(counts: pl.DataFrame, kwargs: Kwargs) -> list[Any]:
    return counts.filter(~pl.col(VALUE).is_in(_wanted(counts, kwargs).implode()))[VALUE].sort().to_list()


def _lacking(counts: pl.DataFrame, kwargs: Kwargs) -> bool:
    """Whether a wanted value is absent; one that the column's type cannot hold always is."""
    wanted = _wanted(counts, kwargs)
    return len(wanted) < len(set(kwargs["value_set"])) or not wanted.is_in(counts[VALUE].implode()).all()


def _all_in(counts: pl.DataFrame, rows: int, kwargs: Kwargs) -> Judged:  # noqa: ARG001
    strangers = _strangers(counts, kwargs)
    return Judged(success=not strangers, observed=strangers[:20])


def _contain(counts: pl.DataFrame, rows: int, kwargs: Kwargs) -> Judged:  # noqa: ARG001
    return Judged(success=not _lacking(counts, kwargs), observed=counts[VALUE].sort().to_list()[:20])


def _equal(counts: pl.DataFrame, rows: int, kwargs: Kwargs) -> Judged:  # noqa: ARG001
    strangers = _strangers(counts, kwargs)
    return Judged(success=not strangers and not _lacking(counts, kwargs), observed=counts[VALUE].sort().to_list()[:20])


def _most_common(counts: pl.DataFrame, rows: int, kwargs: Kwargs) -> Judged:  # noqa: ARG001
    modes = counts.filter(pl.col(COUNT) == pl.col(COUNT).max())[VALUE].sort()
    inside = int(modes.is_in(_wanted(counts, kwargs).implode()).sum()) if len(modes) else 0
    success = inside > 0 if kwargs.get("ties_okay") else len(modes) == 1 and inside == 1
    return Judged(success=success, observed=modes.to_list())


DISTINCT: Mapping[str, Compiler] = {
    "expect_column_unique_value_count_to_be_between": _compiled(_count),
    "expect_column_proportion_of_unique_values_to_be_between": _compiled(_share),
    "expect_column_proportion_of_non_null_values_to_be_between": _compiled(_share_there),
    "expect_column_distinct_values_to_be_in_set": _compiled(_all_in),
    "expect_column_distinct_values_to_contain_set": _compiled(_contain),
    "expect_column_distinct_values_to_equal_set": _compiled(_equal),
    "expect_column_most_common_value_to_be_in_set": _compiled(_most_common),
}
