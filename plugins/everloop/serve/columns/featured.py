"""The JSON of rows' features, of the columns that hold them in the log: for the shipper, which has the time."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa

from everloop.kinds import TIMESTAMP
from everloop.serve.columns.moments import plain

REQUEST, VECTOR = "request.", "vector."
"""What the columns of the log begin with that hold a row's features."""

_encode = msgspec.json.Encoder().encode


def features(table: pa.Table) -> pa.Array:
    """`Record.features` as JSON text a row, of a table with columns `request.<field>` and `vector.<view>__<feature>`."""
    request, vector = _rows(table, REQUEST), _rows(table, VECTOR)
    texts = [_encode({"request": one, "vector": two}) for one, two in zip(request, vector, strict=True)]
    return pa.array(texts, pa.binary()).cast(pa.string())


def _rows(table: pa.Table, prefix: str) -> list[dict[str, Any]]:
    names = [name for name in table.column_names if name.startswith(prefix)]
    if not names:
        return [{} for _ in range(table.num_rows)]
    columns = [_values(table.column(name).combine_chunks()) for name in names]
    short = [name.removeprefix(prefix) for name in names]
    return [dict(zip(short, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: pa.Array) -> list[Any]:
    return plain(column.cast(TIMESTAMP) if pa.types.is_timestamp(column.type) else column)
