"""A column as it came, made one of the type that the release's plan gives the field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everloop.kinds import ARROW_TYPES, TIMESTAMP
from everloop.serve.columns.moments import EPOCH, microseconds

_NUMBER = pa.float64()
_FIRST = microseconds(datetime.min.replace(tzinfo=UTC))
_LAST = microseconds(datetime.max.replace(tzinfo=UTC))
_RFC_3339 = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)\z"
"""What everybody's programs write of a moment; days and hours that do not exist are not its matter."""


@lru_cache(maxsize=256)
def readable(kind: pa.DataType) -> bool:
    """Whether a column of this type can be read at all: plain values, or a dictionary of texts."""
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_timestamp, pa.types.is_null)
    return _is_text(kind) or any(fits(kind) for fits in plain)


def typed(column: pa.Array, kind: str) -> pa.Array | None:
    """The column in Arrow's type for `kind`, NaN being null; `None` where a value may not fit, so that rows need a look.

    Infinity does not fit a number: JSON, in which all is logged, cannot say it.
    """
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), ARROW_TYPES[kind])
    try:
        return _CASTS[kind](column)
    except pa.ArrowInvalid:
        return None


def ends_of(columns: Mapping[str, pa.Array]) -> dict[str, tuple[float, float]]:
    """Least and greatest of the columns that are float64 without null, NaN or infinity, all in one pass; others are left out."""
    whole = {name: column for name, column in columns.items() if column.type == _NUMBER and not column.null_count}
    if not whole:
        return {}
    values = np.array([column.to_numpy() for column in whole.values()])
    found = zip(whole, values.min(axis=1).tolist(), values.max(axis=1).tolist(), strict=True)
    return {name: (low, high) for name, low, high in found if isfinite(low) and isfinite(high)}


def plain_values(column: pa.Array) -> list[Any]:
    """The values as JSON's reader takes them; a moment that no calendar here has becomes a text that is no moment."""
    if pa.types.is_timestamp(column.type):
        zone = UTC if column.type.tz else None
        count = column.cast(pa.timestamp("us", column.type.tz), safe=False).view(pa.int64()).to_pylist()
        return [None if one is None else _moment(one, zone) for one in count]
    if pa.types.is_floating(column.type):
        values = without_nan(column.cast(pa.float64())).to_pylist()
        return [f"{one}" if one in (np.inf, -np.inf) else one for one in values]
    found: list[Any] = column.to_pylist()
    return found


def without_nan(column: pa.Array) -> pa.Array:
    """Numbers with null for NaN."""
    return pc.if_else(pc.is_nan(column), None, column)


def _is_text(kind: pa.DataType) -> bool:
    return any(is_one(kind) for is_one in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _plain_text(column: pa.Array) -> pa.Array:
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _moment(count: int, zone: Any) -> Any:
    if not _FIRST <= count <= _LAST:
        return f"{count} microseconds since 1970"
    return (EPOCH + timedelta(microseconds=count)).replace(tzinfo=zone)


def _string(column: pa.Array) -> pa.Array | None:
    kind = column.type
    if not _is_text(kind.value_type if pa.types.is_dictionary(kind) else kind):
        return None
    values = column.dictionary if pa.types.is_dictionary(kind) else column
    text = _plain_text(values)
    if pc.any(pc.match_substring(text, "\0")).as_py():
        return None
    return text if values is column else text.take(column.indices)


def _int(column: pa.Array) -> pa.Array | None:
    if pa.types.is_floating(column.type):
        return without_nan(column.cast(pa.float64())).cast(pa.int64())
    return column.cast(pa.int64()) if pa.types.is_integer(column.type) else None


def _float(column: pa.Array) -> pa.Array | None:
    if not pa.types.is_floating(column.type):
        return column.cast(pa.float64(), safe=False) if pa.types.is_integer(column.type) else None
    found = column if pa.types.is_float64(column.type) else column.cast(pa.float64())
    # A sum is finite only if all its terms are; where it is not, they are asked.
    if np.isfinite((values := found.to_numpy(zero_copy_only=False)).sum()):
        return found
    return None if np.isinf(values).any() else without_nan(found)


def _bool(column: pa.Array) -> pa.Array | None:
    return column if pa.types.is_boolean(column.type) else None


def _timestamp(column: pa.Array) -> pa.Array | None:
    if _is_text(column.type):
        # Arrow and JSON's reader differ in what else they take.
        text = _plain_text(column)
        if not pc.all(pc.match_substring_regex(text, _RFC_3339), min_count=0).as_py():
            return None
        column = text.cast(TIMESTAMP)
    if not pa.types.is_timestamp(column.type) or column.type.tz is None:
        return None
    found = column.cast(TIMESTAMP, safe=False)
    ends = pc.min_max(found.view(pa.int64()))
    low, high = ends["min"].as_py(), ends["max"].as_py()
    return found if low is None or (low >= _FIRST and high <= _LAST) else None


_CASTS = {"string": _string, "int": _int, "float": _float, "bool": _bool, "timestamp": _timestamp}
