"""The rows that were put aside: listed, shown, and repaired by a person, under the same contract and the same suite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from everloop.decide.release.state import ReleaseState
from everloop.errors import DataError
from everloop.interval import Interval
from everloop.ports import Account, Accounts, Batches, Checks, Decision, Lake, Ledger
from everloop.steps import ingest, repairs
from everloop.steps.deciding import decide_and_append
from everloop.steps.dividing import CONTRACT, EXPECTATIONS, PROBLEM
from everloop.steps.evolution import filled
from everloop.steps.shelving import RUN
from everloop.use_case import SourceTable, UseCase

ROW = "_row"
INTERVAL = "_interval"
_CONTRACT = f"{CONTRACT}("


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """What is in quarantine of one table and interval: how many rows, and how many of them broke each rule."""

    table: str
    interval: Interval
    rows: int
    rules: Mapping[str, int]


def listed(lake: Lake, use_case: UseCase) -> list[Shelf]:
    """Every table and interval with rows in quarantine, oldest first."""
    found = []
    for table in use_case.sources:
        rows = shown(lake, use_case, table.name)
        for start in sorted(set(rows[INTERVAL].to_pylist())) if rows.num_rows else []:
            reasons = [
                why for at, why in zip(rows[INTERVAL].to_pylist(), rows[EXPECTATIONS].to_pylist(), strict=True) if at == start
            ]
            rules = Counter(_rule(reason) for why in reasons for reason in why)
            interval = Interval(start, start + use_case.interval)
            found.append(Shelf(table=table.name, interval=interval, rows=len(reasons), rules=dict(sorted(rules.items()))))
    return found


def shown(lake: Lake, use_case: UseCase, table: str, *, interval: datetime | None = None, rule: str | None = None) -> pa.Table:
    """The rows in quarantine, of one interval (its start) or of all, that broke `rule` or any.

    Columns: `_row` (the row's identity, by which a repair names it), `_interval`, those of the contract with the original
    values (null where a value was not of its type: the reason then holds its text), `_expectations`, `_run`.
    """
    source, name = use_case.source(table), f"{table}_quarantine"
    if lake.version(name) is None:
        return pa.table({})
    parts = []
    for start in sorted(lake.intervals(name) if interval is None else {interval}):
        rows = filled(lake.read(name, interval=Interval(start, start + use_case.interval)), source)
        rows = _identified(rows, source)
        moment = pa.repeat(pa.scalar(start, pa.timestamp("us", "UTC")), rows.num_rows)
        parts.append(rows.add_column(1, INTERVAL, moment).select([ROW, INTERVAL, *source.columns, EXPECTATIONS, RUN]))
    whole = pa.concat_tables(parts) if parts else pa.table({})
    if rule is None or not whole.num_rows:
        return whole
    return whole.filter(pa.array([any(_rule(why) == rule for why in reasons) for reasons in whole[EXPECTATIONS].to_pylist()]))


def repair(
    lake: Lake,
    checks: Checks,
    accounts: Accounts,
    ledger: Ledger,
    use_case: UseCase,
    table: str,
    rows: pa.Table,
    *,
    actor: str,
    reason: str,
    now: datetime,
) -> dict[str, Any]:
    """Publish rows of the quarantine as a person has mended them; those that still break a rule stay, with their new reasons.

    `rows`: `_row`, the columns of the contract, and `_problem` of those that do not parse. A row that is as it was is left
    alone. The repairs are kept, and put in place whenever the interval is read again; the interval is opened, so that the next
    run of ingestion computes what depends on it. `DataError`, and nothing is changed, for a row that does not parse or is not in
    quarantine, or when the mended rows break an expectation that blocks.
    Returns `{"published", "quarantined", "unchanged": rows, "intervals": labels}`.
    """
    source = use_case.source(table)
    wanted = _wanted(lake, source, shown(lake, use_case, table), rows)
    desk = _Desk(lake, checks, accounts, use_case, source, actor, now)
    report: dict[str, Any] = {"published": 0, "quarantined": 0, "unchanged": rows.num_rows, "intervals": []}
    for start, new in wanted.items():
        interval = Interval(start, start + use_case.interval)
        stayed = desk.publish(interval, new)
        report["published"] += len(new) - stayed
        report["quarantined"] += stayed
        report["unchanged"] -= len(new)
        report["intervals"].append(interval.label)
    if wanted:
        _write_down(ledger, use_case, table, report, actor, reason, now)
    return report


@dataclass(frozen=True)
class _Desk:
    """Where one person mends rows of one table."""

    lake: Lake
    checks: Checks
    accounts: Accounts
    use_case: UseCase
    table: SourceTable
    actor: str
    now: datetime

    def publish(self, interval: Interval, new: Mapping[str, Mapping[str, Any]]) -> int:
        """Publish the interval with the rows `new` (by identity of the original) in place; how many of these stay behind.

        The interval is opened before anything is written: killed in between, the next ingestion finishes the work.
        """
        name, run = self.table.name, f"repair-{self.now:%Y%m%dT%H%M%S%f}"
        alone, kept = replace(self.use_case, sources=(self.table,)), repairs.repairs_of(self.table.name)
        bad = self._aside(interval)
        raw = _raw(self.lake.batches(name, interval), bad, self.table)
        mended = repairs.merged([], new, self.table, bad.schema)
        repairs.stage_repaired(self.lake, repairs.raw_name(run, interval, name), raw, mended, self.table)
        ingest.validate(self.checks, self.lake, alone, [interval], run)
        reason = f"{len(new)} rows of {name} were repaired by {self.actor}"
        self.accounts.open(self.use_case.name, [interval], self.now, reason)
        standing = self.lake.read(kept, interval=interval).to_pylist()
        self.lake.replace(kept, repairs.merged(standing, new, self.table, bad.schema), interval)
        self._account(ingest.publish(self.lake, alone, [interval], run), interval, run)
        self.lake.unstage(run)
        left = _identified(self._aside(interval), self.table)[ROW].to_pylist()
        behind = {repairs.base(row) for row in left}
        return sum(repairs.identity(row, self.table) in behind for row in new.values())

    def _aside(self, interval: Interval) -> pa.Table:
        return filled(self.lake.read(f"{self.table.name}_quarantine", interval=interval), self.table)

    def _account(self, report: Mapping[str, Any], interval: Interval, run: str) -> None:
        """The interval's account; the source was not read, so the moment of its last reading stays."""
        known = self.accounts.read(self.use_case.name, intervals=[interval])
        last = next((account for account in known if account.table == self.table.name), None)
        good, bad = (report[kind][self.table.name][interval.label] for kind in ("published", "quarantined"))
        account = Account(
            table=self.table.name,
            interval=interval,
            rows_in=good + bad,
            published=good,
            quarantined=bad,
            repaired=self.lake.read(repairs.repairs_of(self.table.name), interval=interval).num_rows,
            run=run,
            at=last.at if last else self.now,
            seen=last.seen if last else None,
        )
        self.accounts.record(self.use_case.name, [account])


def _identified(rows: pa.Table, table: SourceTable) -> pa.Table:
    """Rows of the quarantine with `_problem` as they had it when they were extracted, and their identities."""
    raw = rows.append_column(PROBLEM, pa.array([_problem(why) for why in rows[EXPECTATIONS].to_pylist()], pa.string()))
    return raw.add_column(0, ROW, pa.array(repairs.numbered(repairs.identities(raw, table)), pa.string()))


def _problem(reasons: Iterable[str]) -> str | None:
    return next((why.removeprefix(_CONTRACT).removesuffix(")") for why in reasons if why.startswith(_CONTRACT)), None)


def _rule(reason: str) -> str:
    return "contract" if reason.startswith(_CONTRACT) else reason


def _wanted(lake: Lake, table: SourceTable, standing: pa.Table, rows: pa.Table) -> dict[datetime, dict[str, dict[str, Any]]]:
    """The rows that a person has changed: by interval, by identity of the original."""
    originals = {row[ROW]: row for row in standing.to_pylist()}
    already = set(lake.read(repairs.repairs_of(table.name)).to_pydict().get(repairs.ORIGINAL, []))
    problems: list[str] = []
    wanted: dict[datetime, dict[str, dict[str, Any]]] = {}
    for row in rows.to_pylist():
        original, values = originals.get(row[ROW]), {name: row[name] for name in table.columns}
        if row[PROBLEM]:
            problems.append(f"row {row[ROW]}: {row[PROBLEM]}")
        elif original is None and row[ROW] not in already:
            problems.append(f'row {row[ROW]} is not in quarantine: take the identities from "everloop quarantine show"')
        elif original and values != {name: original[name] for name in table.columns}:
            wanted.setdefault(original[INTERVAL], {})[row[ROW]] = values
    if problems:
        raise DataError(f'The repairs of table "{table.name}" cannot be taken, and nothing was changed:\n' + "\n".join(problems))
    return wanted


def _raw(good: Batches, bad: pa.Table, table: SourceTable) -> Batches:
    """The interval's rows as they were extracted."""
    columns = [*table.columns, PROBLEM]
    aside = _identified(bad, table).select(columns)

    def read() -> Iterator[pa.RecordBatch]:
        for batch in good if good.num_rows else ():
            rows = filled(pa.Table.from_batches([batch]), table)
            fine = rows.append_column(PROBLEM, pa.nulls(rows.num_rows, pa.string()))
            yield from fine.select(columns).to_batches()
        yield from aside.to_batches()

    return Batches(aside.schema, good.num_rows + aside.num_rows, read)


def _write_down(
    ledger: Ledger, use_case: UseCase, table: str, report: Mapping[str, Any], actor: str, reason: str, now: datetime
) -> None:
    def repaired(state: ReleaseState) -> Decision:
        subject = f"{table} {', '.join(report['intervals'])}"
        return Decision(actor=actor, action="repaired", subject=subject, after=state, reason=reason, evidence=dict(report))

    decide_and_append(ledger, use_case.name, repaired, now)
