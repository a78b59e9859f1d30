"""What a source gives in pieces, as batches of a fair size."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import pyarrow as pa

from everloop.adapters.sources.contract import EXTRA, PROBLEM, conform, extra_columns
from everloop.use_case import SourceTable

BATCH_BYTES = 8 * 1024 * 1024
"""Of a batch, and of a text block of a file. With what is read ahead and Arrow's copies, twenty times as much is in memory."""


def gathered(parts: Iterable[pa.Table], table: SourceTable, size: int) -> Iterator[pa.RecordBatch]:
    """`parts` joined until they have `size` bytes, each batch sorted by key; at least one batch, be it empty."""
    waiting: list[pa.Table] = []
    held, given = 0, False
    for part in parts:
        waiting.append(part)
        held += part.nbytes
        if held >= size:
            yield _joined(waiting, table)
            waiting, held, given = [], 0, True
    if waiting or not given:
        nothing = conform(pa.table({name: pa.array([], pa.string()) for name in table.columns}), table, {}, [])
        yield _joined(waiting or [nothing], table)


def _joined(parts: list[pa.Table], table: SourceTable) -> pa.RecordBatch:
    extra = sorted({name for part in parts for name in extra_columns(part.schema)})
    whole = pa.concat_tables([part.replace_schema_metadata(None) for part in parts])
    rows = whole.sort_by([(name, "ascending") for name in (*table.key, PROBLEM)])
    schema = rows.schema.with_metadata({EXTRA: json.dumps(extra)})
    return pa.RecordBatch.from_arrays([column.combine_chunks() for column in rows.columns], schema=schema)
