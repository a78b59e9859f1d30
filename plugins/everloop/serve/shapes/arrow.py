"""An Arrow IPC stream in, one out: for clients that have tables and many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from everloop.serve.columns.flags import listed
from everloop.serve.columns.stream import read_stream
from everloop.serve.problems import Refused
from everloop.serve.release import LoadedRelease
from everloop.serve.request import Answer
from everloop.serve.shapes.rows import JsonRows
from everloop.serve.shapes.score import ARROW
from everloop.serve.shapes.shape import Asked, Reply, Sent, told

_JSON, _ARROW = "json", "arrow"


class ArrowStream:
    """`Shape` of Arrow bodies at `POST /v1/<use case>/score`. `Accept: application/json` has the answer as JSON."""

    def __init__(self, rows: JsonRows) -> None:
        self._rows = rows

    def read(self, release: LoadedRelease, sent: Sent) -> Asked:
        """See `Shape.read`. The schema's metadata may hold `explain`: `true`."""
        service = release.manifest.service
        table = read_stream(sent.body, service.maximum_rows)
        block = release.columns.block(table, sent.at, service.maximum_bytes)
        explain = sent.explain or (table.schema.metadata or {}).get(b"explain") == b"true"
        wanted = sent.headers.get(b"accept", b"")
        return Asked(block, explain, _JSON if b"json" in wanted and ARROW not in wanted else _ARROW)

    def write(self, answer: Answer, context: object) -> Reply:
        """See `Shape.write`. The schema's metadata holds `request_id`."""
        if context == _JSON:
            return self._rows.write(answer, None)
        batch = _columns(answer)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        return Reply(sink.getvalue().to_pybytes(), ARROW)

    def refused(self, refused: Refused) -> Reply:
        """See `Shape.refused`."""
        return told(refused)


def _columns(answer: Answer) -> pa.RecordBatch:
    columns = {
        "key": pa.array(answer.keys, pa.string()),
        "score": pa.array(answer.scores, pa.float64()),
        "decision": pa.array(answer.decisions, pa.bool_()),
        "arm": _few(answer.arms),
        "release": _few(answer.releases),
        "flags": listed(answer.flags),
    }
    if answer.contributions is not None:
        columns["contributions"] = _contributions(answer.contributions)
    metadata = {"request_id": answer.request_id}
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns)).replace_schema_metadata(metadata)


def _few(values: Sequence[str]) -> pa.Array:
    """Plain text, made fast where all of it is the same."""
    first, rows = values[0], len(values)
    return pa.repeat(first, rows) if values.count(first) == rows else pa.array(values, pa.string())


def _contributions(shares: Sequence[dict[str, Any]]) -> pa.Array:
    """A struct a row; rows that releases of other columns answered have null there."""
    names = list({name: None for row in shares for name in row})
    return pa.array(shares, pa.struct([(name, pa.float64()) for name in names]))
