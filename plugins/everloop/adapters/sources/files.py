"""Rows of dropped CSV files: one file a day, its name telling the day (UTC)."""

from __future__ import annotations

import codecs
import io
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from everloop.adapters.sources.contract import EXTRA, PROBLEM, Problems, check_columns, conform, extra_columns
from everloop.adapters.sources.landing import Landing
from everloop.errors import SourceError
from everloop.interval import Interval
from everloop.use_case import DroppedFiles, SourceTable

DAY = timedelta(days=1)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def extract(landing: Landing, table: SourceTable, source: DroppedFiles, interval: Interval) -> pa.Table:
    """The rows of the files of every day that `interval` touches.

    A row outside its file's day, or without a readable event time, has a `_problem` and belongs to the interval in which
    that day begins, so it is extracted once whatever the interval's length. `SourceError` names every absent file.
    """
    names = {day: day.strftime(source.pattern) for day in _days(interval)}
    contents = {day: landing.read(name) for day, name in names.items()}
    if absent := [names[day] for day, content in contents.items() if content is None]:
        raise SourceError(f'Table "{table.name}": {len(absent)} files are absent: {", ".join(absent)}. Drop them, then run again')
    parts = [_of_day(content, table, names[day], day, interval) for day, content in contents.items() if content is not None]
    extra = sorted({name for part in parts for name in extra_columns(part)})
    whole = pa.concat_tables([part.replace_schema_metadata(None) for part in parts])
    whole = whole.sort_by([(name, "ascending") for name in (*table.key, PROBLEM)])
    return whole.replace_schema_metadata({EXTRA: json.dumps(extra).encode()})


def watermark(landing: Landing, source: DroppedFiles) -> datetime | None:
    """The end of the last day in the unbroken row of days that starts at the oldest file: one absent file holds the rest back."""
    found = set()
    for name in landing.names(source.pattern.partition("%")[0]):
        try:
            found.add(datetime.strptime(name, source.pattern).replace(tzinfo=UTC))
        except ValueError:
            continue
    if not found:
        return None
    day = min(found)
    while day in found:
        day += DAY
    return day


def _days(interval: Interval) -> Iterator[datetime]:
    day = interval.start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < interval.end:
        yield day
        day += DAY


def _of_day(content: bytes, table: SourceTable, name: str, day: datetime, interval: Interval) -> pa.Table:
    rows = _parsed(content, table, name)
    times = rows[table.event_time]
    inside = pc.fill_null(pc.and_(pc.greater_equal(times, day), pc.less(times, day + DAY)), False)
    told = f"{table.event_time} lies outside {name}, the file of {day:%Y-%m-%d}"
    rows = _with_problem(rows, pc.and_(pc.invert(inside), pc.is_valid(times)), told)
    mine = pc.and_(inside, pc.and_(pc.greater_equal(times, interval.start), pc.less(times, interval.end)))
    strays = pc.and_(pc.invert(inside), pa.scalar(interval.holds(day)))
    return rows.filter(pc.or_kleene(mine, strays))


def _with_problem(rows: pa.Table, where: Any, told: str) -> pa.Table:
    already = rows[PROBLEM]
    joined = pc.if_else(pc.is_valid(already), pc.binary_join_element_wise(already, told, "; "), told)
    return rows.set_column(rows.column_names.index(PROBLEM), PROBLEM, pc.if_else(where, joined, already))


def _parsed(content: bytes, table: SourceTable, name: str) -> pa.Table:
    lines: list[str] = []
    raw = _read(content, lines) if content.strip() else pa.table({})
    extra = check_columns(raw.column_names, table, f"File {name}")
    problems: Problems = defaultdict(list)
    texts = pa.table({column: _decoded(raw[column], column, problems) for column in table.columns})
    if lines:
        problems |= {texts.num_rows + i: [f"a line without {raw.num_columns} fields: {line!r}"] for i, line in enumerate(lines)}
        broken = pa.table({column: pa.nulls(len(lines), pa.string()) for column in table.columns})
        texts = pa.concat_tables([texts, broken])
    return conform(texts, table, problems, extra)


def _read(content: bytes, broken: list[str]) -> pa.Table:
    """All columns as bytes; lines with too few or too many fields go to `broken`, whole."""
    content = _as_utf8(content)
    header = content.partition(b"\n")[0]

    def keep(row: Any) -> str:
        broken.append(row.text)
        return "skip"

    return pa.csv.read_csv(
        io.BytesIO(content),
        read_options=pa.csv.ReadOptions(use_threads=False),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=keep),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(_header(header), pa.binary()), null_values=[""], strings_can_be_null=True
        ),
    )


def _header(line: bytes) -> list[str]:
    return [name.strip().strip('"') for name in line.decode("utf-8", "replace").split(",")]


def _as_utf8(content: bytes) -> bytes:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding).encode()
    return content


def _decoded(column: pa.ChunkedArray, name: str, problems: Problems) -> pa.ChunkedArray:
    """Text; values that are not UTF-8 become null and are told, byte for byte: guessing an encoding would change data unseen."""
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        values = []
        for position, value in enumerate(column.to_pylist()):
            try:
                values.append(None if value is None else value.decode())
            except UnicodeDecodeError:
                values.append(None)
                problems[position].append(f"{name}: {value!r} is not UTF-8")
        return pa.chunked_array([pa.array(values, pa.string())])
