"""A Delta table as an Arrow dataset whose making costs microseconds a file, since a long history has many.

delta-rs's own `to_pyarrow_dataset` hands over every statistic of every column, at more than a millisecond a file. Days are told
apart by time: the interval and the bounds of timestamps are what lets a reader pass over the other days' files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
from deltalake import DeltaTable

from everloop.adapters.lake.files import refuse_beyond
from everloop.adapters.lake.rows import TIMESTAMP
from everloop.interval import Interval

INTERVAL = "_interval"
_PRECISION = 1_000
"""Microseconds by which a statistic may be cut short: Delta keeps milliseconds."""


def schema(delta: DeltaTable) -> pa.Schema:
    """The table's columns as its rows have them, by the log alone."""
    return pa.schema(delta.schema().to_arrow())


def added(delta: DeltaTable, within: Interval | None = None) -> pa.Table:
    """The files of the table, or of the intervals that begin in `within`, by the log alone.

    Path, size, rows and statistics, one row a file; no columns when the table has no file at all.
    """
    files = pa.table(delta.get_add_actions(flatten=True))
    if within is None or not files.num_rows:
        return files
    starts = files[f"partition.{INTERVAL}"].cast(TIMESTAMP)
    first, last = (pa.scalar(moment, TIMESTAMP) for moment in (within.start, within.end))
    return files.filter(pc.and_(pc.greater_equal(starts, first), pc.less(starts, last)))


def dataset(delta: DeltaTable, files: pa.fs.FileSystem, table: str, within: Interval | None = None) -> pa.dataset.Dataset:
    """The rows of `table`, which lies in the folder of that name in `files`; those of intervals that begin in `within` alone.

    `DataError` when reading the Parquet files alone would give wrong rows.
    """
    refuse_beyond(delta, table)
    form = pa.dataset.ParquetFileFormat(default_fragment_scan_options=pa.dataset.ParquetFragmentScanOptions(pre_buffer=True))
    listed = added(delta, within)
    paths, sizes = (listed[name].to_pylist() if listed.num_rows else () for name in ("path", "size_bytes"))
    fragments = [
        form.make_fragment(f"{table}/{unquote(path)}", files, partition_expression=held, file_size=size)
        for path, size, held in zip(paths, sizes, _held(listed), strict=True)
    ]
    return pa.dataset.FileSystemDataset(fragments, schema(delta), form, files)


def _held(files: pa.Table) -> Iterator[Any]:
    """What is true of every row of each file: its interval, and the bounds of its timestamps."""
    bounds = [_bounds(files, name) for name in files.column_names if name.startswith("min.")]
    known = [(pc.field(name), low, high) for name, low, high in filter(None, bounds)]
    intervals = files[f"partition.{INTERVAL}"].cast(TIMESTAMP) if f"partition.{INTERVAL}" in files.column_names else None
    for position in range(files.num_rows):
        held = pc.scalar(True) if intervals is None else pc.field(INTERVAL) == intervals[position]
        for column, low, high in known:
            if low[position].is_valid:
                held = held & (column >= low[position]) & (column <= high[position])
        yield held


def _bounds(files: pa.Table, minimum: str) -> tuple[str, pa.ChunkedArray, pa.ChunkedArray] | None:
    """A timestamp column's name and its bounds by file; null where a row may lack the value, `None` for other types."""
    name = minimum.removeprefix("min.")
    if not pa.types.is_timestamp(files.schema.field(minimum).type):
        return None
    complete = pc.equal(files[f"null_count.{name}"], 0)
    low, high = files[minimum].cast(TIMESTAMP), files[f"max.{name}"].cast(TIMESTAMP)
    low = pc.if_else(pc.and_(pc.fill_null(complete, False), pc.is_valid(high)), low, pa.scalar(None, TIMESTAMP))
    return name, low, pc.add(high, pa.scalar(_PRECISION, pa.duration("us")))
