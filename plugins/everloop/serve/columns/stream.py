"""Arrow IPC streams from strangers: as large as they look, and what they say of themselves is so."""

from __future__ import annotations

import struct

import pyarrow as pa
import pyarrow.compute as pc

from everloop.serve.problems import refuse

_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
"""Values of `MessageHeader` (https://github.com/apache/arrow/blob/main/format/Message.fbs)."""

_COMPRESSION = 3
"""The field of `RecordBatch` there that says how its buffers are compressed."""

_SEND = "send an Arrow IPC stream of one schema and some record batches"


def read_stream(body: bytes, maximum: int) -> pa.Table:
    """The table of a stream, validated through and through: a wrong offset would make Arrow read memory that is not the client's.

    `Refused` (400) for what is no stream or is compressed: a megabyte could unfold to gigabytes; 413 beyond `maximum` rows.
    """
    try:
        if _compressed(body):
            raise refuse(400, "body", "compressed buffers", "must not be compressed", "write the stream without compression")
        with pa.ipc.open_stream(pa.py_buffer(body)) as stream:
            table = pa.Table.from_batches(_batches(stream, maximum), stream.schema)
    except (pa.ArrowException, OSError, ValueError, struct.error, UnicodeDecodeError) as error:
        raise refuse(400, "body", None, f"must be an Arrow IPC stream: {error}", _SEND) from None
    if not table.num_rows:
        raise refuse(422, "rows", 0, "must hold at least one row", "leave the request out when there is nothing to send")
    return table


def _batches(stream: pa.ipc.RecordBatchStreamReader, maximum: int) -> list[pa.RecordBatch]:
    found, rows = [], 0
    for batch in stream:
        rows += batch.num_rows
        if rows > maximum:
            raise refuse(413, "rows", rows, f"must hold at most {maximum} rows", "send several smaller requests")
        batch.validate(full=True)
        found.append(batch)
    return found


def unfolded_bytes(column: pa.Array) -> int:
    """How long a column of text is with every value in its row: dictionaries and views may point at one text many times."""
    if pa.types.is_dictionary(column.type):
        return int(pc.sum(pc.binary_length(_text(column.dictionary)).take(column.indices)).as_py() or 0)
    return int(pc.sum(pc.binary_length(_text(column))).as_py() or 0) if pa.types.is_string_view(column.type) else 0


def _text(column: pa.Array) -> pa.Array:
    return column.cast(pa.large_string()) if pa.types.is_string_view(column.type) else column


def _compressed(body: bytes) -> bool:
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(body)):
        metadata = message.metadata.to_pybytes()
        table = _table(metadata, 0)
        kind, header = metadata[_field(metadata, table, 1)], _table(metadata, _field(metadata, table, 2))
        if kind not in (_DICTIONARY_BATCH, _RECORD_BATCH):
            continue
        if kind == _DICTIONARY_BATCH:
            header = _table(metadata, _field(metadata, header, 1))
        if _field(metadata, header, _COMPRESSION):
            return True
    return False


def _table(metadata: bytes, at: int) -> int:
    """Where the FlatBuffers table lies to which the offset at `at` points."""
    return at + int(struct.unpack_from("<I", metadata, at)[0])


def _field(metadata: bytes, table: int, number: int) -> int:
    """Where a field of a FlatBuffers table lies; 0 when the table does not have it."""
    fields = table - struct.unpack_from("<i", metadata, table)[0]
    place = 4 + 2 * number
    if place >= struct.unpack_from("<H", metadata, fields)[0]:
        return 0
    offset = struct.unpack_from("<H", metadata, fields + place)[0]
    return int(table + offset) if offset else 0
