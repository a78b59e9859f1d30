"""Rows of one interval that need not fit into memory: written file by file, then committed together.

delta-rs's own writer holds a share of what it is given: 1.3 GB for 50 million rows, and more for more.
"""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.schema import Schema
from deltalake.transaction import AddAction

from everloop.adapters.lake.rows import fitted, normal
from everloop.ports import Batches

FILE_ROWS = 4_000_000


def fitting(rows: Batches, table: str, stored: pa.Schema) -> Batches:
    """`rows` in the lake's types and in those that `table` has already; `DataError` at the first batch that does not fit."""

    def read() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            yield from fitted(normal(pa.Table.from_batches([batch])), table, stored).to_batches()

    return Batches(fitted(normal(rows.schema.empty_table()), table, stored).schema, rows.num_rows, read)


def written(files: Any, table: str, partition: tuple[str, datetime], rows: Batches, file_rows: int) -> list[AddAction]:
    """Write data files that no version names yet, and what a commit must say of each. `vacuum` deletes forgotten ones.

    `files`: the lake's file system. `partition`: the partition column and its value, UTC.
    """
    column, moment = partition
    value = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"
    folder = quote(f"{column}={value}", safe="=")
    batches, actions = iter(rows), []
    for first in batches:
        path = f"{folder}/part-{uuid.uuid4()}.zstd.parquet"
        with (
            files.open_output_stream(f"{table}/{path}") as stream,
            pq.ParquetWriter(stream, rows.schema, compression="zstd") as writer,
        ):
            for batch in chain([first], _some(batches, file_rows - first.num_rows)):
                writer.write_batch(batch)
        [info] = files.get_file_info([f"{table}/{path}"])
        with files.open_input_file(f"{table}/{path}") as stream:
            stats = json.dumps(_statistics(pq.ParquetFile(stream).metadata))
        actions.append(AddAction(path, info.size, {column: value}, int(time.time() * 1000), True, stats))
    return actions


def commit(delta: DeltaTable, column: str, actions: list[AddAction], schema: pa.Schema) -> int:
    """Replace the partition of `actions` by their files in one atomic commit; the version.

    Columns that the table lacks are added first, null in all rows: killed in between, the table shows what it showed.
    """
    if new := [field for field in schema if field.name not in delta.to_pyarrow_dataset().schema.names]:
        delta.alter.add_columns(Schema.from_arrow(pa.schema(new)).fields)
    filters = [(column, "=", actions[0].partition_values[column])]
    delta.create_write_transaction(actions, "overwrite", delta.schema(), partition_by=[column], partition_filters=filters)
    delta.update_incremental()
    return int(delta.version())


def _some(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The next batches, until there are `rows` of them."""
    while rows > 0 and (batch := next(batches, None)) is not None:
        rows -= batch.num_rows
        yield batch


def _statistics(file: pq.FileMetaData) -> Mapping[str, Any]:
    """Rows, and smallest and largest value of the columns of numbers and moments, by which readers leave files out."""
    found: dict[str, Any] = {"numRecords": file.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    for place, kind in _ordered(file):
        told = [file.row_group(group).column(place).statistics for group in range(file.num_row_groups)]
        if all(each is not None and each.has_min_max for each in told):
            low, high = min(each.min for each in told), max(each.max for each in told)
            if kind != pa.float64() or math.isfinite(high - low):
                name = file.schema.column(place).name
                found["minValues"][name], found["maxValues"][name] = _plain(low), _plain(high)
                found["nullCount"][name] = sum(each.null_count for each in told)
    return found


def _ordered(file: pq.FileMetaData) -> Iterator[tuple[int, pa.DataType]]:
    """Place and type of the columns of numbers and moments; a list has a place too."""
    kinds = {field.name: field.type for field in file.schema.to_arrow_schema()}
    for place in range(file.num_columns):
        kind = kinds.get(file.schema.column(place).path)
        if kind is not None and (kind in (pa.int64(), pa.float64()) or pa.types.is_timestamp(kind)):
            yield place, kind


def _plain(value: float | datetime) -> float | str:
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(value, datetime) else value
