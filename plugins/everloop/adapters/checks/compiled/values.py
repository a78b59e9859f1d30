"""Missing values and the values of a suite, as the columns have them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from everloop.errors import ConfigurationError

if TYPE_CHECKING:
    from everloop.adapters.checks.compiled.rule import Schema


def missing(name: str, schema: Schema) -> pl.Expr:
    """Null, or NaN: to pandas, and so to Great Expectations, they are one."""
    null = pl.col(name).is_null()
    return null | pl.col(name).is_nan().fill_null(False) if schema[name].is_float() else null


def known(name: str, schema: Schema) -> pl.Expr:
    """The column's values that are not missing."""
    return pl.col(name).filter(~missing(name, schema))


def bound(value: Any, kind: pl.DataType, name: str) -> Any:
    """A limit that values of `kind` can be compared with; `ConfigurationError` when they cannot."""
    if value is None:
        return None
    if kind.is_temporal():
        return moment(value, kind)
    if kind.is_numeric() and isinstance(value, (int, float)):
        return value
    raise ConfigurationError(
        f"column {name} is {kind} and the limit {value!r} is {type(value).__name__}: give a limit of its type"
    )


def moment(value: Any, kind: pl.DataType) -> datetime:
    """A time as the column has it: aware where the column is; a text without zone counts as UTC."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    aware = getattr(kind, "time_zone", None) is not None
    if aware:
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def members(values: Iterable[Any], kind: pl.DataType) -> pl.Series:
    """Those of `values` that a column of `kind` can hold, in its type: others are equal to no value of it."""
    found = [member for value in values if (member := _member(value, kind)) is not None]
    return pl.Series(found, dtype=kind, strict=False)


def _member(value: Any, kind: pl.DataType) -> Any:
    if kind == pl.Boolean:
        return bool(value) if isinstance(value, (bool, int, float)) and value in (0, 1) else None
    if kind.is_integer():
        return int(value) if isinstance(value, (bool, int)) or (isinstance(value, float) and value.is_integer()) else None
    if kind.is_float():
        return float(value) if isinstance(value, (bool, int, float)) else None
    if kind.is_temporal():
        return moment(value, kind) if isinstance(value, (str, datetime)) else None
    return value if isinstance(value, str) else None
