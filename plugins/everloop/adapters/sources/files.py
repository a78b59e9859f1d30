"""Rows of dropped files: one file a day, its name telling the day (UTC) and, by its ending, the format."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from everloop.adapters.sources import csv_file, parquet_file
from everloop.adapters.sources.contract import PROBLEM
from everloop.adapters.sources.gathered import gathered
from everloop.adapters.sources.landing import Landing
from everloop.errors import SourceError
from everloop.interval import Interval
from everloop.use_case import DroppedFiles, SourceTable

DAY = timedelta(days=1)


def extract(
    landing: Landing, table: SourceTable, source: DroppedFiles, interval: Interval, size: int
) -> Iterator[pa.RecordBatch]:
    """The rows of the files of every day that `interval` touches, about `size` bytes at a time, in the order of the files.

    A row outside its file's day, or without a readable event time, has a `_problem` and belongs to the interval in which
    that day begins, so it is extracted once whatever the interval's length. `SourceError` names every absent file.
    """
    names = {day: day.strftime(source.pattern) for day in _days(interval)}
    if absent := [name for name in names.values() if not landing.has(name)]:
        raise _absent(table, absent)
    parts = (part for day, name in names.items() for part in _of_day(landing, table, name, day, interval, size))
    yield from gathered(parts, table, size)


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


def _absent(table: SourceTable, names: list[str]) -> SourceError:
    return SourceError(f'Table "{table.name}": {len(names)} files are absent: {", ".join(names)}. Drop them, then run again')


def _of_day(landing: Landing, table: SourceTable, name: str, day: datetime, interval: Interval, size: int) -> Iterator[pa.Table]:
    """The rows of one file that belong to `interval`."""
    told = f"{table.event_time} lies outside {name}, the file of {day:%Y-%m-%d}"
    with landing.open(name) as file:
        if file is None:
            raise _absent(table, [name])
        for rows in _tables(file, table, name, size):
            times = rows[table.event_time]
            inside = _within(times, Interval(day, day + DAY))
            rows = _with_problem(rows, pc.and_(pc.invert(inside), pc.is_valid(times)), told)
            strays = pc.and_(pc.invert(inside), pa.scalar(interval.holds(day)))
            yield rows.filter(pc.or_(pc.and_(inside, _within(times, interval)), strays))


def _tables(file: IO[bytes], table: SourceTable, name: str, size: int) -> Iterator[pa.Table]:
    if name.endswith(".parquet"):
        return parquet_file.tables(file, table, name)
    text = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if name.endswith(".gz") else file
    return csv_file.tables(text, table, name, size)


def _within(times: pa.ChunkedArray, interval: Interval) -> Any:
    return pc.fill_null(pc.and_(pc.greater_equal(times, interval.start), pc.less(times, interval.end)), False)


def _with_problem(rows: pa.Table, where: Any, told: str) -> pa.Table:
    already = rows[PROBLEM]
    joined = pc.if_else(pc.is_valid(already), pc.binary_join_element_wise(already, told, "; "), told)
    return rows.set_column(rows.column_names.index(PROBLEM), PROBLEM, pc.if_else(where, joined, already))
