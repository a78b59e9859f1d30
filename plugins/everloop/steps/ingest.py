"""From source systems to the lake, one data interval at a time: plan, extract, validate, publish.

Between the steps rows are staged under `<run>/<interval>/<table>/{raw,good,bad}`. Every step may run again, or be killed
anywhere, and holds a batch of the rows at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from everloop.errors import DataError, EverloopError
from everloop.interval import Interval, grid
from everloop.ports import Batches, Checks, Lake, Source
from everloop.steps.dividing import FRAME_ROWS, Verdicts, divided, judged
from everloop.steps.evolution import taken
from everloop.steps.shelving import put_aside
from everloop.use_case import SourceTable, UseCase

RECEIPT = "published"

Report = dict[str, Any]


def pending(source: Source, lake: Lake, use_case: UseCase, *, now: datetime) -> list[Interval]:
    """The intervals of `[use_case.start, use_case.end)` that every source has completed and some table of the lake lacks."""
    marks = [source.watermark(table) for table in use_case.sources]
    known = [mark for mark in marks if mark is not None]
    if len(known) < len(marks):
        return []
    until = min([*known, now, *([use_case.end] if use_case.end else [])])
    written = [lake.intervals(table.name) for table in use_case.sources]
    complete = grid(use_case.start, use_case.interval, until)
    return [interval for interval in complete if not all(interval.start in starts for starts in written)]


def extract(source: Source, lake: Lake, use_case: UseCase, intervals: Sequence[Interval], run: str) -> Report:
    """Stage the rows of every source table and interval. Returns `{"rows": {table: {interval: n}}, "warnings": [...]}`.

    What an earlier attempt of `run` staged for these intervals is forgotten first. Errors of the source go up as they are:
    nothing of a table is staged then, and nothing published is touched. `ContractError` when a contract changed in a way that
    the table's rows in the lake cannot follow.
    """
    rows: dict[str, dict[str, int]] = {table.name: {} for table in use_case.sources}
    warnings = [f"{table.name}: {told}" for table in use_case.sources for told in taken(table, lake.schema(table.name))]
    for interval in intervals:
        lake.unstage(_place(run, interval))
        for table in use_case.sources:
            found, extra = _staged(source, lake, table, interval, _place(run, interval, table.name, "raw"))
            rows[table.name][interval.label] = found
            if extra:
                warnings.append(f"{table.name} {interval.label}: columns beyond the contract were left out: {', '.join(extra)}")
    return {"rows": rows, "warnings": warnings}


def validate(
    checks: Checks, lake: Lake, use_case: UseCase, intervals: Sequence[Interval], run: str, *, frame_rows: int = FRAME_ROWS
) -> Report:
    """Stage good and bad rows apart. Returns `{"good", "bad": {table: {interval: n}}, "broken": {table: {rule: n}}, "warnings"}`.

    Bad are rows that did not parse, lie outside their interval, repeat a key (the first row stays), or break an expectation
    of severity `quarantine`. `DataError` when an expectation blocks, too large a share is bad, or an interval has no rows
    though its table must have some: all such findings together. Great Expectations itself judges up to `frame_rows` rows, which
    are then held in memory; of more, memory is bounded by a batch, and by the numbers of the bad rows.
    """
    report: Report = {"good": {}, "bad": {}, "broken": {}, "warnings": []}
    blocked = []
    for interval, table in _each(use_case, intervals):
        raw = lake.staged_batches(_place(run, interval, table.name, "raw"))
        if raw.num_rows <= frame_rows:
            raw = Batches.of(raw.to_table())
        try:
            verdicts = judged(checks, table, interval, raw, run, frame_rows)
        except DataError as error:
            blocked.append(str(error))
            continue
        _divide(lake, table, interval, raw, verdicts, run)
        _report(report, table, interval, raw.num_rows, verdicts)
    if blocked:
        raise DataError("\n".join(blocked))
    return report


def publish(lake: Lake, use_case: UseCase, intervals: Sequence[Interval], run: str) -> Report:
    """Commit good and bad rows, oldest interval first. Returns `{"published", "quarantined": {table: {interval: n}}}`.

    Each table's rows of an interval are one atomic commit. When all of an interval stand, a receipt replaces what was staged,
    so a second call for the same run finds that its work is done.
    """
    report: Report = {"published": {}, "quarantined": {}}
    for interval in intervals:
        counts = _receipt(lake, run, interval)
        if counts is None:
            counts = {table.name: _published(lake, table, interval, run) for table in use_case.sources}
            lake.stage(_place(run, interval, RECEIPT), pa.table({"counts": [json.dumps(counts)]}))
        for table in use_case.sources:
            lake.unstage(_place(run, interval, table.name))
            good, bad = counts[table.name]
            report["published"].setdefault(table.name, {})[interval.label] = good
            report["quarantined"].setdefault(table.name, {})[interval.label] = bad
    return report


def _place(run: str, interval: Interval, *parts: str) -> str:
    return "/".join([run, interval.label, *parts])


def _each(use_case: UseCase, intervals: Sequence[Interval]) -> Iterator[tuple[Interval, SourceTable]]:
    return ((interval, table) for interval in intervals for table in use_case.sources)


def _staged(source: Source, lake: Lake, table: SourceTable, interval: Interval, name: str) -> tuple[int, list[str]]:
    """Stage what the source gives; how many rows, and which columns it has beyond the contract."""
    rows, extra = 0, set[str]()
    with lake.staging(name) as put:
        for batch in source.extract(table, interval):
            put(batch)
            rows += batch.num_rows
            extra |= set(json.loads((batch.schema.metadata or {}).get(b"extra_columns", b"[]")))
    return rows, sorted(extra)


def _divide(lake: Lake, table: SourceTable, interval: Interval, raw: Batches, verdicts: Verdicts, run: str) -> None:
    with (
        lake.staging(_place(run, interval, table.name, "good")) as keep,
        lake.staging(_place(run, interval, table.name, "bad")) as put_aside,
    ):
        for good, bad in divided(raw, table, interval, verdicts):
            keep(good)
            put_aside(bad)


def _report(report: Report, table: SourceTable, interval: Interval, rows: int, verdicts: Verdicts) -> None:
    report["good"].setdefault(table.name, {})[interval.label] = rows - verdicts.bad
    report["bad"].setdefault(table.name, {})[interval.label] = verdicts.bad
    report["warnings"] += [f"{table.name} {interval.label}: {told}" for told in verdicts.warnings]
    counts = report["broken"].setdefault(table.name, {})
    for rule, broken in verdicts.counts.items():
        counts[rule] = counts.get(rule, 0) + broken


def _published(lake: Lake, table: SourceTable, interval: Interval, run: str) -> tuple[int, int]:
    """Commit one table's rows of one interval; rows published and quarantined."""
    raw, good, bad = (lake.staged_batches(_place(run, interval, table.name, kind)) for kind in ("raw", "good", "bad"))
    if raw.num_rows != good.num_rows + bad.num_rows:
        raise EverloopError(
            f'Table "{table.name}", interval {interval}: {raw.num_rows} rows came in, but {good.num_rows} are to be published '
            f'and {bad.num_rows} quarantined: rows would be lost. Clear the run from "extract" on'
        )
    # Bad rows first: at no moment is a row neither published, nor quarantined, nor staged.
    put_aside(lake, f"{table.name}_quarantine", bad, interval, run)
    lake.replace(table.name, good, interval)
    return good.num_rows, bad.num_rows


def _receipt(lake: Lake, run: str, interval: Interval) -> dict[str, tuple[int, int]] | None:
    try:
        counts = lake.staged(_place(run, interval, RECEIPT))["counts"][0].as_py()
    except DataError:
        return None
    return {table: (good, bad) for table, (good, bad) in json.loads(counts).items()}
