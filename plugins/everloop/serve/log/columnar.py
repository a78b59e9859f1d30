"""Rows as Arrow columns, for requests of many: into a frame, and out of it as lines of `COPY`, column by column."""

from __future__ import annotations

from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from everloop.serve.columns.featured import features
from everloop.serve.log.decoding import NULL, Key, array, failed
from everloop.serve.log.frames import Kind, frame
from everloop.serve.log.record import Record, ShadowRecord

_TIME = pa.timestamp("us", "UTC")
_KINDS = {
    "row_number": pa.int64(),
    "at": _TIME,
    "as_of": _TIME,
    "score": pa.float64(),
    "decision": pa.bool_(),
    "shadow_score": pa.float64(),
    "flags": pa.list_(pa.string()),
    "latency_ms": pa.float64(),
}
"""Columns that are not text."""

UNREADABLE = (pa.ArrowException, KeyError, ValueError, TypeError, OSError)
"""What Arrow raises on bytes that are no stream, or not of the columns of `Record`."""

_MARKS = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))


def columns(batch: pa.RecordBatch) -> bytes:
    """One frame of answered rows as columns, named as in `Record`; constants may be dictionaries.

    `features` as JSON text or, as they came, as columns of their own: see `columns.featured`.
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return frame(Kind.COLUMNS, sink.getvalue().to_pybytes())


def lines_of(payload: memoryview, shadows: dict[Key, ShadowRecord]) -> tuple[bytes, set[tuple[str, date]]]:
    """The lines of a frame of columns, and their days by use case. Shadows that came for its rows are taken out of `shadows`.

    Raises `UNREADABLE`.
    """
    table = pa.ipc.open_stream(pa.py_buffer(payload)).read_all()
    if not table.num_rows:
        return b"", set()
    if "features" not in table.column_names:
        table = table.append_column("features", features(table))
    rows = {name: _plain(table, name) for name in Record.__struct_fields__}
    if shadows:
        _cast(rows, shadows)
    lines = pc.binary_join_element_wise(
        *(_text(one) for one in rows.values()), "\t", null_handling="replace", null_replacement=NULL
    )
    whole = pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), "\n")
    return whole[0].as_buffer().to_pybytes() + b"\n", _days(rows["use_case"], rows["at"])


def first_at(payload: memoryview) -> datetime:
    """When the first row of a frame was answered; raises Arrow's errors, `KeyError` and `IndexError`."""
    moment: datetime = _plain(pa.ipc.open_stream(pa.py_buffer(payload)).read_all(), "at")[0].as_py()
    return moment


def _plain(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name).combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(_KINDS.get(name, pa.string()))


def _text(column: pa.Array) -> pa.Array:
    if pa.types.is_list(column.type):
        return pa.array([array(tuple(flags)) for flags in column.to_pylist()], pa.string())
    if pa.types.is_timestamp(column.type):
        # Without its zone, which Arrow would look up in a database that a small image lacks; the session's zone is UTC.
        return column.cast(pa.timestamp("us")).cast(pa.string())
    if not pa.types.is_string(column.type):
        return column.cast(pa.string())
    content = column.buffers()[2].to_pybytes() if column.buffers()[2] else b""
    if not any(mark.encode() in content for mark, _ in _MARKS):
        return column
    for mark, escaped in _MARKS:
        column = pc.replace_substring(column, mark, escaped)
    return column


def _cast(rows: dict[str, pa.Array], shadows: dict[Key, ShadowRecord]) -> None:
    """As `decoding` does for rows in JSON; columns without a shadow stay as they are."""
    requests = {request for _, request, _ in shadows}
    if requests.isdisjoint(pc.unique(rows["request_id"]).to_pylist()):
        return
    keys = zip(*(rows[name].to_pylist() for name in ("use_case", "request_id", "row_number")), strict=True)
    found = [shadows.pop(key, None) for key in keys]
    for name in ("shadow_release", "shadow_score"):
        given = rows[name].to_pylist()
        rows[name] = pa.array(
            [getattr(shadow, name) if shadow else before for shadow, before in zip(found, given, strict=True)], rows[name].type
        )
    flags = zip(rows["flags"].to_pylist(), found, strict=True)
    rows["flags"] = pa.array([failed(before, shadow) if shadow else before for before, shadow in flags], rows["flags"].type)


def _days(use_cases: pa.Array, at: pa.Array) -> set[tuple[str, date]]:
    pairs = pa.table({"use_case": use_cases, "day": at.cast(pa.timestamp("us")).cast(pa.date32())})
    distinct = pairs.group_by(["use_case", "day"]).aggregate([])
    return set(zip(distinct["use_case"].to_pylist(), distinct["day"].to_pylist(), strict=True))
