"""From text, as every source can give it, to the types of the contract; what does not fit is kept and said."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from everloop.errors import ContractError
from everloop.use_case import SourceTable

PROBLEM = "_problem"
EXTRA = b"extra_columns"
"""Key of the schema's metadata that lists (JSON) the columns that the source has and the contract does not name."""

TYPES = {
    "string": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
}
_PATTERNS = {
    # 18 digits always fit 64 bits. `.0` is how some tools write integers with gaps.
    "int": r"^[+-]?[0-9]{1,18}(\.0*)?$",
    # Finite numbers only: a NaN or an infinity is not a measurement.
    "float": r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?$",
    "bool": r"^(?i:true|false|t|f|1|0)$",
    "timestamp": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?$",
}

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


def conform(texts: pa.Table, table: SourceTable, problems: Problems, extra: Iterable[str]) -> pa.Table:
    """`texts` (a string column for each of the contract) in contract order and types, plus `_problem`, sorted by key.

    `problems`: what is already known to be wrong, by row position. A value that does not parse becomes null, and its text
    goes into `_problem`.
    """
    found: Problems = defaultdict(list, problems)
    columns = {name: _parse(texts[name], name, kind, found) for name, kind in table.columns.items()}
    columns[PROBLEM] = pa.array([None] * texts.num_rows, pa.string())
    if found:
        columns[PROBLEM] = pa.array(["; ".join(found[i]) if i in found else None for i in range(texts.num_rows)], pa.string())
    metadata = {EXTRA: json.dumps(sorted(set(extra))).encode()}
    rows = pa.table(columns).replace_schema_metadata(metadata)
    return rows.sort_by([(name, "ascending") for name in (*table.key, PROBLEM)])


def extra_columns(rows: pa.Table) -> list[str]:
    """The columns beyond the contract that the source of `rows` had."""
    return list(json.loads((rows.schema.metadata or {}).get(EXTRA, b"[]")))


def _parse(texts: pa.ChunkedArray, name: str, kind: str, problems: Problems) -> pa.ChunkedArray:
    if kind == "string":
        return texts
    if not len(texts):
        return pa.chunked_array([], TYPES[kind])
    trimmed = pc.utf8_trim_whitespace(texts)
    fits = pc.match_substring_regex(trimmed, _PATTERNS[kind])
    parsed = _cast(pc.if_else(fits, trimmed, pa.scalar(None, pa.string())), kind)
    bad = pc.and_(pc.is_valid(texts), pc.is_null(parsed))
    for position in pc.indices_nonzero(bad).to_pylist():
        problems[position].append(f"{name}: {texts[position].as_py()!r} is not of type {kind}")
    return parsed


def _cast(texts: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    """Null where a text of the right shape is no value after all (month 13, 1e99 hours)."""
    if kind == "timestamp":
        return _timestamps(texts)
    if kind == "int":
        texts = pc.replace_substring_regex(texts, r"^\+|\.0*$", "")
    if kind == "float":
        texts = pc.replace_substring_regex(texts, r"^\+", "")
    if kind == "bool":
        true = pc.is_in(pc.utf8_lower(texts), pa.array(["true", "t", "1"]))
        return pc.if_else(pc.is_valid(texts), true, pa.scalar(None, pa.bool_()))
    return texts.cast(TYPES[kind])


def _timestamps(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """ISO 8601; without a zone it is UTC. Distinct values are parsed once each: times repeat."""
    values: dict[str, Any] = {}
    for text in pc.unique(texts).to_pylist():
        if text is not None:
            values[text] = _moment(text)
    return pa.chunked_array([pa.array([values.get(t) for t in texts.to_pylist()], TYPES["timestamp"])])


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
