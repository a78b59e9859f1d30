"""What PostgreSQL copies out, as Arrow: all at once, or batch by batch for what need not fit into memory."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv


def copied(connection: psycopg.Connection[Any], statement: str, values: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    """The rows of a `COPY ... TO STDOUT (FORMAT csv)`. A column of lists comes as JSON."""
    content = io.BytesIO()
    with connection.cursor().copy(statement, values) as copy:
        for block in copy:
            content.write(block)
    return _parse(content.getbuffer(), schema)


def copied_in_batches(
    connection: psycopg.Connection[Any], statement: str, values: Mapping[str, Any], schema: pa.Schema, batch_bytes: int
) -> Iterator[pa.RecordBatch]:
    """`copied`, about `batch_bytes` of CSV at a time; at least one batch, be it empty."""
    content, size, some = io.BytesIO(), 0, False
    with connection.cursor().copy(statement, values) as copy:
        # PostgreSQL sends each row as one message, so a block ends where a row does.
        for block in copy:
            size += content.write(block)
            if size >= batch_bytes:
                yield from _parse(content.getbuffer(), schema).to_batches()
                content, size, some = io.BytesIO(), 0, True
    if size or not some:
        yield from _parse(content.getbuffer(), schema).to_batches() or [pa.RecordBatch.from_pylist([], schema)]


def _parse(content: memoryview, schema: pa.Schema) -> pa.Table:
    """CSV as PostgreSQL writes it: an unquoted nothing is null, a quoted one an empty text."""
    if not content:
        return schema.empty_table()
    table = pyarrow.csv.read_csv(
        pa.BufferReader(pa.py_buffer(content)),
        read_options=pyarrow.csv.ReadOptions(column_names=schema.names, block_size=8 << 20),
        # Of a single column, a null is an empty line.
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={field.name: pa.string() if field.name == "flags" else field.type for field in schema},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    if "flags" in schema.names:
        position = schema.get_field_index("flags")
        table = table.set_column(position, schema.field("flags"), _lists(table["flags"]))
    return table.cast(schema)


def _lists(texts: pa.ChunkedArray) -> pa.Array:
    """JSON lists of text as Arrow lists. Few distinct ones occur, so each is parsed once."""
    coded = texts.combine_chunks().dictionary_encode()
    parsed = pa.array([json.loads(text) for text in coded.dictionary.to_pylist()], pa.list_(pa.string()))
    return parsed.take(coded.indices)
