"""From source systems to the lake, one data interval at a time: plan, extract, validate, publish.

Between the steps rows are staged under `<run>/<interval>/<table>/{raw,good,bad}`. Every step may run again, or be killed
anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from everloop.errors import DataError, EverloopError
from everloop.interval import Interval, grid
from everloop.ports import Checks, Failure, Lake, Source, Validation
from everloop.use_case import SourceTable, UseCase

EXPECTATIONS = "_expectations"
RUN = "_run"
PROBLEM = "_problem"
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
    nothing of a table is staged then, and nothing published is touched.
    """
    rows: dict[str, dict[str, int]] = {table.name: {} for table in use_case.sources}
    warnings = []
    for interval in intervals:
        lake.unstage(_place(run, interval))
        for table in use_case.sources:
            found = source.extract(table, interval)
            lake.stage(_place(run, interval, table.name, "raw"), found)
            rows[table.name][interval.label] = found.num_rows
            if extra := _extra_columns(found):
                warnings.append(f"{table.name} {interval.label}: columns beyond the contract were left out: {', '.join(extra)}")
    return {"rows": rows, "warnings": warnings}


def validate(checks: Checks, lake: Lake, use_case: UseCase, intervals: Sequence[Interval], run: str) -> Report:
    """Stage good and bad rows apart. Returns `{"good", "bad": {table: {interval: n}}, "broken": {table: {rule: n}}, "warnings"}`.

    Bad are rows that did not parse, lie outside their interval, repeat a key (the first row stays), or break an expectation
    of severity `quarantine`. `DataError` when an expectation blocks, too large a share is bad, or an interval has no rows
    though its table must have some: all such findings together.
    """
    report: Report = {"good": {}, "bad": {}, "broken": {}, "warnings": []}
    blocked = []
    for interval, table in _each(use_case, intervals):
        raw = lake.staged(_place(run, interval, table.name, "raw"))
        try:
            good, bad = _divided(checks, table, interval, raw, run, report)
        except DataError as error:
            blocked.append(str(error))
            continue
        lake.stage(_place(run, interval, table.name, "good"), good)
        lake.stage(_place(run, interval, table.name, "bad"), bad)
        report["good"].setdefault(table.name, {})[interval.label] = good.num_rows
        report["bad"].setdefault(table.name, {})[interval.label] = bad.num_rows
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


def _extra_columns(rows: pa.Table) -> list[str]:
    return list(json.loads((rows.schema.metadata or {}).get(b"extra_columns", b"[]")))


def _divided(
    checks: Checks, table: SourceTable, interval: Interval, raw: pa.Table, run: str, report: Report
) -> tuple[pa.Table, pa.Table]:
    """Good and bad rows of `raw`; `DataError` when nothing of it may be published."""
    where = f'Table "{table.name}", interval {interval}'
    if not raw.num_rows and not table.may_be_empty:
        raise DataError(
            f"{where}: the source gave no row. Wait for it, or set may_be_empty=True on "
            f"SourceTable(name={table.name!r}) if that is right"
        )
    reasons = _row_rules(raw, table, interval)
    sound = [position for position in range(raw.num_rows) if not reasons[position]]
    rows = raw.drop_columns([PROBLEM])
    if sound:
        validation = checks.validate(rows.take(sound), table.suite, f"{run}/{interval.label}")
        _refuse_blocked(validation, where)
        report["warnings"] += [f"{table.name} {interval.label}: {f.text}" for f in validation.failures if f.severity == "warn"]
        for failure in validation.failures:
            for position in failure.rows if failure.severity == "quarantine" else ():
                reasons[sound[position]].append(_rule(failure))
    _refuse_too_many(reasons, table, where)
    _count(reasons, report["broken"].setdefault(table.name, {}))
    bad = pa.array([bool(why) for why in reasons], pa.bool_())
    told = pa.array(reasons, pa.list_(pa.string()))
    return rows.filter(pc.invert(bad)), rows.append_column(EXPECTATIONS, told).filter(bad)


def _row_rules(raw: pa.Table, table: SourceTable, interval: Interval) -> list[list[str]]:
    """What is wrong with each row by the contract itself, before any suite: parse, interval, key."""
    reasons: list[list[str]] = [[f"contract({why})"] if why else [] for why in raw[PROBLEM].to_pylist()]
    times = raw[table.event_time].to_pylist()
    keys = zip(*(raw[name].to_pylist() for name in table.key), strict=True)
    seen = set()
    for position, (time, key) in enumerate(zip(times, keys, strict=True)):
        if time is None or not interval.holds(time):
            reasons[position].append(f"within_interval({table.event_time})")
        if reasons[position]:
            continue
        if key in seen:
            reasons[position].append(f"unique_key({','.join(table.key)})")
        seen.add(key)
    return reasons


def _rule(failure: Failure) -> str:
    return f"{failure.expectation}({failure.column})"


def _refuse_blocked(validation: Validation, where: str) -> None:
    if validation.blocking:
        found = "; ".join(failure.text for failure in validation.blocking)
        raise DataError(
            f'{where}: suite "{validation.suite}" blocks: {found}. Nothing was published. Mend the source and clear the run from '
            f'"extract" on, or change the expectation if the world has changed'
        )


def _refuse_too_many(reasons: list[list[str]], table: SourceTable, where: str) -> None:
    bad = sum(bool(why) for why in reasons)
    if reasons and bad / len(reasons) > table.quarantine_limit:
        counts: dict[str, int] = {}
        _count(reasons, counts)
        raise DataError(
            f"{where}: {bad} of {len(reasons)} rows would be quarantined, more than the limit of {table.quarantine_limit:.0%}: "
            f"{counts}. Nothing was published. Mend the source and clear the run, or raise "
            f"SourceTable(name={table.name!r}).quarantine_limit"
        )


def _count(reasons: list[list[str]], counts: dict[str, int]) -> None:
    for why in reasons:
        for rule in why:
            name = rule if not rule.startswith("contract(") else "contract"
            counts[name] = counts.get(name, 0) + 1


def _published(lake: Lake, table: SourceTable, interval: Interval, run: str) -> tuple[int, int]:
    """Commit one table's rows of one interval; rows published and quarantined."""
    raw = lake.staged(_place(run, interval, table.name, "raw")).num_rows
    good = lake.staged(_place(run, interval, table.name, "good"))
    bad = lake.staged(_place(run, interval, table.name, "bad"))
    if raw != good.num_rows + bad.num_rows:
        raise EverloopError(
            f'Table "{table.name}", interval {interval}: {raw} rows came in, but {good.num_rows} are to be published and '
            f'{bad.num_rows} quarantined: rows would be lost. Clear the run from "extract" on'
        )
    # Bad rows first: at no moment is a row neither published, nor quarantined, nor staged.
    _quarantine(lake, f"{table.name}_quarantine", bad, interval, run)
    lake.replace(table.name, good, interval)
    return good.num_rows, bad.num_rows


def _quarantine(lake: Lake, name: str, bad: pa.Table, interval: Interval, run: str) -> None:
    """Replace the interval's bad rows. Equal rows keep the run that first found them, so running twice changes nothing."""
    standing = lake.read(name, interval=interval)
    if not bad.num_rows and not standing.num_rows:
        return
    runs = _runs(standing, bad.column_names) if standing.num_rows else {}
    found_by = [runs.get(row, run) for row in _identities(bad, bad.column_names)]
    lake.replace(name, bad.append_column(RUN, pa.array(found_by, pa.string())), interval)


def _runs(standing: pa.Table, columns: list[str]) -> dict[str, str]:
    known = [name for name in columns if name in standing.column_names]
    return dict(zip(_identities(standing, known), standing[RUN].to_pylist(), strict=True))


def _identities(rows: pa.Table, columns: list[str]) -> list[str]:
    return [repr(sorted(row.items())) for row in rows.select(columns).to_pylist()]


def _receipt(lake: Lake, run: str, interval: Interval) -> dict[str, tuple[int, int]] | None:
    try:
        counts = lake.staged(_place(run, interval, RECEIPT))["counts"][0].as_py()
    except DataError:
        return None
    return {table: (good, bad) for table, (good, bad) in json.loads(counts).items()}
