"""A CSV file, block by block: text in UTF-8 or, by its mark, UTF-16; every line is a row or a problem."""

from __future__ import annotations

import codecs
import csv
import io
import zlib
from collections import defaultdict
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv

from everloop.adapters.sources.contract import Problems, check_columns, conform, decoded
from everloop.errors import SourceError
from everloop.use_case import SourceTable

HEADER_BYTES = 1024 * 1024
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def tables(file: IO[bytes], table: SourceTable, name: str, size: int) -> Iterator[pa.Table]:
    """The file's rows as the contract has them, `size` bytes of text at a time.

    `SourceError` when the text cannot be read to its end, `ContractError` when the header lacks columns.
    """
    lines: list[str] = []
    try:
        columns, blocks = _opened(file, lines, size)
        extra = check_columns(columns, table, f"File {name}")
        for block in blocks:
            yield _conformed(block, lines, table, extra)
        if lines:
            yield _conformed(pa.table({column: pa.array([], pa.binary()) for column in columns}), lines, table, extra)
    except (pa.ArrowInvalid, UnicodeError, csv.Error, EOFError, OSError, zlib.error) as error:
        raise SourceError(
            f"File {name} cannot be read to its end: {error}. It broke off, its compression or its UTF-16 is damaged, a quote is "
            f"never closed, or a line has more than {size} bytes. Nothing of it was kept; drop it again whole"
        ) from error


def _opened(file: IO[bytes], broken: list[str], size: int) -> tuple[list[str], Iterator[pa.Table]]:
    """The names of its columns, and all of them as bytes; lines with too few or too many fields go to `broken`, whole."""
    start = _as_utf8(file).read(HEADER_BYTES).strip()
    header = _header(start)
    if b"\n" not in start and b"\r" not in start:
        return header, iter(())

    def keep(row: Any) -> str:
        broken.append(row.text)
        return "skip"

    file.seek(0)
    reader = pa.csv.open_csv(
        _as_utf8(file),
        read_options=pa.csv.ReadOptions(use_threads=False, block_size=size),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=keep),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.binary()), null_values=[""], strings_can_be_null=True
        ),
    )
    return list(reader.schema.names), (pa.Table.from_batches([batch]) for batch in reader)


def _as_utf8(file: IO[bytes]) -> Any:
    """`file`, which stands at its start, as a stream of UTF-8."""
    mark = file.read(2)
    file.seek(0)
    return pa.transcoding_input_stream(pa.PythonFile(file, "r"), "utf-16", "utf-8") if mark in _UTF_16 else file


def _header(start: bytes) -> list[str]:
    lines = csv.reader(io.StringIO(start.decode("utf-8-sig", "replace"), newline=""))
    return next((line for line in lines if line), [])


def _conformed(block: pa.Table, lines: list[str], table: SourceTable, extra: list[str]) -> pa.Table:
    """Rows of a block, and after them the lines that could not be read since the last one, as rows without values."""
    problems: Problems = defaultdict(list)
    texts = pa.table({column: decoded(block[column], column, problems) for column in table.columns})
    taken = [lines.pop(0) for _ in range(len(lines))]
    for position, line in enumerate(taken, texts.num_rows):
        problems[position].append(f"a line without {block.num_columns} fields: {line!r}")
    broken = pa.table({column: pa.nulls(len(taken), pa.string()) for column in table.columns})
    return conform(pa.concat_tables([texts, broken]), table, problems, extra)
