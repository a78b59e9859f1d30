"""From text, as every source can give it, to the types of the contract; what does not fit is kept and said."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from everloop.errors import ContractError
from everloop.kinds import ARROW_TYPES
from everloop.use_case import SourceTable

PROBLEM = "_problem"
EXTRA = b"extra_columns"
"""Key of the schema's metadata that lists (JSON) the columns that the source has and the contract does not name."""

_PATTERNS = {
    # 18 digits always fit 64 bits. `.0` is how some tools write integers with gaps.
    "int": r"^[+-]?[0-9]{1,18}(\.0*)?$",
    "float": r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$",
    "bool": r"^(?i:true|false|t|f|1|0)$",
    "timestamp": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?$",
}
_ZONE = r":[0-9.]+(Z|[+-][0-9:]+)$"

Problems = dict[int, list[str]]


def check_columns(found: Sequence[str], table: SourceTable, where: str) -> list[str]:
    """The columns beyond the contract. `ContractError` lists every column that is missing or there twice."""
    differences = [f'column "{name}" ({kind}) is missing' for name, kind in table.columns.items() if name not in found]
    differences += [f'column "{name}" is there {found.count(name)} times' for name in sorted(set(found)) if found.count(name) > 1]
    if differences:
        raise ContractError(
            f'{where} breaks the contract of table "{table.name}":\n'
            + "\n".join(f"  - {difference}" for difference in differences)
            + f"\nIt has {list(found)}. Mend the source, or change the columns of SourceTable(name={table.name!r})"
        )
    return [name for name in found if name not in table.columns]


def conform(values: pa.Table, table: SourceTable, problems: Problems, extra: Iterable[str]) -> pa.Table:
    """`values` (a column for each of the contract, of text or of its own type) as the contract has them, plus `_problem`.

    `problems`: what is already known to be wrong, by row position. A value that does not parse becomes null, and its text
    goes into `_problem`. Rows stay in their order.
    """
    found: Problems = defaultdict(list, problems)
    columns = {name: _column(values[name], name, kind, found) for name, kind in table.columns.items()}
    columns[PROBLEM] = pa.chunked_array([_told(found, values.num_rows)])
    metadata = {EXTRA: json.dumps(sorted(set(extra))).encode()}
    return pa.table(columns).replace_schema_metadata(metadata)


def decoded(column: pa.ChunkedArray, name: str, problems: Problems) -> pa.ChunkedArray:
    """Bytes as text; what is not UTF-8 becomes null and is told, byte for byte: guessing an encoding would change data unseen."""
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        values = []
        for position, value in enumerate(column.to_pylist()):
            try:
                values.append(None if value is None else value.decode())
            except UnicodeDecodeError:
                values.append(None)
                problems[position].append(f"{name}: {value!r} is not UTF-8")
        return pa.chunked_array([pa.array(values, pa.string())])


def extra_columns(schema: pa.Schema) -> list[str]:
    """The columns beyond the contract that the source of rows of `schema` had."""
    return list(json.loads((schema.metadata or {}).get(EXTRA, b"[]")))


def _told(problems: Mapping[int, Sequence[str]], rows: int) -> pa.Array:
    if not problems:
        return pa.nulls(rows, pa.string())
    return pa.array(["; ".join(problems[i]) if i in problems else None for i in range(rows)], pa.string())


def _column(values: pa.ChunkedArray, name: str, kind: str, problems: Problems) -> pa.ChunkedArray:
    """Text is parsed; what has the type already (Parquet) is taken as it is. What is no value after all becomes null."""
    if not len(values):
        return pa.chunked_array([], ARROW_TYPES[kind])
    if values.type != pa.string() and values.type == ARROW_TYPES[kind]:
        parsed = values
    else:
        values = values.cast(pa.string())
        parsed = values if kind == "string" else _parsed(values, kind)
    parsed = _sound(parsed, kind)
    bad = pc.and_(pc.is_valid(values), pc.is_null(parsed))
    if pc.any(bad).as_py():
        for position in pc.indices_nonzero(bad).to_pylist():
            problems[position].append(f"{name}: {values[position].as_py()!r} is not of type {kind}")
    return parsed


def _sound(values: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    """Null for a number that is not finite, which is no measurement, and for text with NUL, which no database holds."""
    if kind == "float":
        return _where(pc.is_finite(values), values)
    if kind == "string" and pc.any(pc.match_substring(values, "\0")).as_py():
        return _where(pc.invert(pc.match_substring(values, "\0")), values)
    return values


def _where(fine: Any, values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values if pc.all(fine).as_py() else pc.if_else(fine, values, pa.scalar(None, values.type))


def _parsed(texts: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    """Null where a text has not the shape of its type, or is no value after all (month 13)."""
    trimmed = pc.utf8_trim_whitespace(texts)
    texts = _where(pc.match_substring_regex(trimmed, _PATTERNS[kind]), trimmed)
    if kind == "timestamp":
        return _timestamps(texts)
    if kind == "int":
        texts = pc.replace_substring_regex(texts, r"^\+|\.0*$", "")
    if kind == "float":
        texts = pc.replace_substring_regex(texts, r"^\+", "")
    if kind == "bool":
        true = pc.is_in(pc.utf8_lower(texts), pa.array(["true", "t", "1"]))
        return pc.if_else(pc.is_valid(texts), true, pa.scalar(None, pa.bool_()))
    return texts.cast(ARROW_TYPES[kind])


def _timestamps(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """ISO 8601; without a zone it is UTC. By Arrow where all are sound; else distinct values are parsed once each."""
    zoned = pc.match_substring_regex(texts, _ZONE)
    with_zone = pc.if_else(zoned, texts, pa.scalar(None, pa.string()))
    without = pc.if_else(zoned, pa.scalar(None, pa.string()), texts)
    try:
        local = pc.assume_timezone(without.cast(pa.timestamp("us")), "UTC")
        found = pc.coalesce(with_zone.cast(ARROW_TYPES["timestamp"]), local)
    except pa.ArrowInvalid:
        values = {text: _moment(text) for text in pc.unique(texts).to_pylist() if text is not None}
        return pa.chunked_array([pa.array([values.get(text) for text in texts.to_pylist()], ARROW_TYPES["timestamp"])])
    return _where(pc.fill_null(pc.and_(pc.greater_equal(found, _FIRST), pc.less_equal(found, _LAST)), True), found)


_FIRST = pa.scalar(datetime(1, 1, 1, tzinfo=UTC), ARROW_TYPES["timestamp"])
_LAST = pa.scalar(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), ARROW_TYPES["timestamp"])
"""Moments that every database and Python can hold."""


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the year 0, or none after the zone is taken off
        return None
