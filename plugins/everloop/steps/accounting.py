"""The accounts of ingestion: kept as intervals are extracted and published, and held against what the lake really holds."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from everloop.interval import Interval
from everloop.ports import Account, Accounts, Features, Lake, Source
from everloop.steps import features, ingest, late, repairs
from everloop.use_case import UseCase

Report = dict[str, Any]


def extract(source: Source, lake: Lake, use_case: UseCase, intervals: Sequence[Interval], run: str, *, now: datetime) -> Report:
    """`ingest.extract`, what people have repaired put in place, and a note of when (`now`, wall clock) the sources were read."""
    seen = {table.name: late.seen(source, use_case, table, now) for table in use_case.sources}
    report = ingest.extract(source, lake, use_case, intervals, run)
    applied = repairs.apply(lake, use_case, intervals, run)
    told = {table: {start.isoformat(): at.isoformat() for start, at in changes.items()} for table, changes in seen.items()}
    note = json.dumps({"at": now.isoformat(), "seen": told, "repaired": applied})
    lake.stage(_note(run), pa.table({"note": [note]}))
    return report | ({"repaired": applied} if applied else {})


def publish(lake: Lake, accounts: Accounts, use_case: UseCase, intervals: Sequence[Interval], run: str) -> Report:
    """`ingest.publish`, and an account a table and interval. The intervals are open until `materialize` is done with them."""
    note = json.loads(lake.staged(_note(run))["note"][0].as_py())
    at = datetime.fromisoformat(note["at"])
    accounts.open(use_case.name, intervals, at, "published, but not yet offered to the online store")
    report = ingest.publish(lake, use_case, intervals, run)
    tables = [table.name for table in use_case.sources]
    accounts.record(use_case.name, [_account(report, note, table, interval, run) for table in tables for interval in intervals])
    return report


def materialize(store: Features, accounts: Accounts, use_case: UseCase, intervals: Sequence[Interval]) -> Report:
    """`features.materialize`; then the intervals are done with, unless they were opened again meanwhile."""
    changed = features.materialize(store, intervals)
    accounts.close(use_case.name, intervals)
    return changed


@dataclass(frozen=True, kw_only=True)
class Statement:
    """The accounts of one table over a row of intervals: totals, and the intervals that do not add up, in words."""

    table: str
    accounts: tuple[Account, ...]
    problems: tuple[str, ...]
    unaccounted: tuple[datetime, ...]

    def lines(self) -> list[str]:
        """One line for each unbroken row of intervals, then what is wrong."""
        old = []
        if self.unaccounted:
            first, last = (f"{start:%Y-%m-%dT%H%M}" for start in (self.unaccounted[0], self.unaccounted[-1]))
            told = f"{len(self.unaccounted)} intervals, published before accounts were kept: ingest them again to have theirs"
            old.append(f"{self.table}  {first} to {last}  {told}")
        return [*old, *(_line(row) for row in _rows(self.accounts)), *(f"  {problem}" for problem in self.problems)]


def reconcile(lake: Lake, accounts: Accounts, use_case: UseCase) -> list[Statement]:
    """The accounts of every source table, held against the rows that the lake holds by interval.

    An interval without account is a problem when an earlier one has one; else it was published before accounts were kept.
    """
    known = accounts.read(use_case.name)
    return [_statement(lake, table.name, [a for a in known if a.table == table.name]) for table in use_case.sources]


def _note(run: str) -> str:
    return f"{run}/read"


def _account(report: Report, note: Report, table: str, interval: Interval, run: str) -> Account:
    good, bad = (report[kind][table][interval.label] for kind in ("published", "quarantined"))
    seen = note["seen"].get(table, {}).get(interval.start.isoformat())
    return Account(
        table=table,
        interval=interval,
        rows_in=good + bad,
        published=good,
        quarantined=bad,
        repaired=note["repaired"].get(table, {}).get(interval.label, 0),
        run=run,
        at=datetime.fromisoformat(note["at"]),
        seen=datetime.fromisoformat(seen) if seen else None,
    )


def _statement(lake: Lake, table: str, accounts: Sequence[Account]) -> Statement:
    good, bad = _counts(lake, table), _counts(lake, f"{table}_quarantine")
    problems = [
        f"{table} {account.interval.label}: the account says {said} rows {where}, the lake holds {held}"
        for account in accounts
        for where, said, held in (
            ("published", account.published, good.get(account.interval.start, 0)),
            ("quarantined", account.quarantined, bad.get(account.interval.start, 0)),
        )
        if said != held
    ]
    accounted = {account.interval.start for account in accounts}
    without = sorted((lake.intervals(table) | set(bad)) - accounted)
    first = min(accounted, default=None)
    old = [start for start in without if first is None or start < first]
    problems += [
        f"{table} {start:%Y-%m-%dT%H%M}: the lake holds {good.get(start, 0)} rows published and {bad.get(start, 0)} quarantined, "
        "and there is no account: ingest the interval again"
        for start in without[len(old) :]
    ]
    return Statement(table=table, accounts=tuple(accounts), problems=tuple(problems), unaccounted=tuple(old))


def _counts(lake: Lake, table: str) -> dict[datetime, int]:
    if lake.version(table) is None:
        return {}
    found = lake.query(f'SELECT _interval, count(*) AS n FROM "{table}" GROUP BY 1', {table: None})
    return dict(zip(found["_interval"].to_pylist(), found["n"].to_pylist(), strict=True))


def _rows(accounts: Collection[Account]) -> list[list[Account]]:
    """Accounts by unbroken row of intervals."""
    rows: list[list[Account]] = []
    for account in sorted(accounts, key=lambda account: account.interval):
        if rows and rows[-1][-1].interval.end == account.interval.start:
            rows[-1].append(account)
        else:
            rows.append([account])
    return rows


def _line(accounts: Sequence[Account]) -> str:
    rows_in, published, quarantined, repaired = (
        sum(getattr(account, name) for account in accounts) for name in ("rows_in", "published", "quarantined", "repaired")
    )
    span = f"{accounts[0].interval.label} to {accounts[-1].interval.label}"
    told = f"{rows_in:,} rows in = {published:,} published + {quarantined:,} quarantined"
    return f"{accounts[0].table}  {span}  {len(accounts)} intervals  {told} ({repaired:,} repaired)"
