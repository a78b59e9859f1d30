"""What came in and where it went, and which intervals must be worked, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from psycopg import sql

from everloop.adapters.database import connect
from everloop.interval import Interval
from everloop.ports import Account

_COLUMNS = "source_table, interval_start, interval_end, rows_in, published, quarantined, repaired, run, at, seen"


class PostgresAccounts:
    """`ports.Accounts` over the tables `account` and `open_interval`; a view `accounts.<use case>_<table>` shows one table's."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def record(self, use_case: str, accounts: Sequence[Account]) -> None:
        """See `ports.Accounts.record`."""
        statement = f"""
            INSERT INTO account (use_case, {_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (use_case, source_table, interval_start) DO UPDATE SET
                interval_end = EXCLUDED.interval_end, rows_in = EXCLUDED.rows_in, published = EXCLUDED.published,
                quarantined = EXCLUDED.quarantined, repaired = EXCLUDED.repaired, run = EXCLUDED.run,
                at = EXCLUDED.at, seen = EXCLUDED.seen, recorded_at = now()
        """
        rows = [(use_case, *_values(account)) for account in sorted(accounts, key=lambda a: (a.table, a.interval))]
        with connect(self._uri) as connection:
            connection.cursor().executemany(statement, rows)
            for table in sorted({a.table for a in accounts}):
                _make_view(connection, use_case, table)

    def read(
        self, use_case: str, *, intervals: Collection[Interval] | None = None, recorded_since: datetime | None = None
    ) -> list[Account]:
        """See `ports.Accounts.read`."""
        where = "use_case = %s"
        values: list[Any] = [use_case]
        if intervals is not None:
            where, values = f"{where} AND interval_start = ANY(%s)", [*values, [i.start for i in intervals]]
        if recorded_since is not None:
            where, values = f"{where} AND recorded_at >= %s", [*values, recorded_since]
        statement = f"SELECT {_COLUMNS} FROM account WHERE {where} ORDER BY source_table, interval_start"
        with connect(self._uri) as connection:
            return [_account(row) for row in connection.execute(statement, values)]

    def open(self, use_case: str, intervals: Collection[Interval], at: datetime, reason: str) -> None:
        """See `ports.Accounts.open`."""
        statement = """
            INSERT INTO open_interval (use_case, interval_start, interval_end, at, reason) VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT (use_case, interval_start) DO UPDATE SET at = EXCLUDED.at, reason = EXCLUDED.reason
            WHERE open_interval.at < EXCLUDED.at
        """
        with connect(self._uri) as connection:
            connection.cursor().executemany(statement, [(use_case, i.start, i.end, at, reason) for i in sorted(intervals)])

    def opened(self, use_case: str) -> dict[Interval, str]:
        """See `ports.Accounts.opened`."""
        statement = "SELECT interval_start, interval_end, reason FROM open_interval WHERE use_case = %s ORDER BY interval_start"
        with connect(self._uri) as connection:
            return {Interval(start, end): reason for start, end, reason in connection.execute(statement, (use_case,))}

    def close(self, use_case: str, intervals: Collection[Interval]) -> None:
        """See `ports.Accounts.close`."""
        statement = """
            DELETE FROM open_interval o WHERE use_case = %s AND interval_start = ANY(%s) AND at <= (
                SELECT min(a.at) FROM account a WHERE a.use_case = o.use_case AND a.interval_start = o.interval_start)
        """
        with connect(self._uri) as connection:
            connection.execute(statement, (use_case, [i.start for i in intervals]))


def _make_view(connection: Any, use_case: str, table: str) -> None:
    """The table's accounts under a name of their own; made once."""
    view = sql.Identifier("accounts", f"{use_case}_{table}")
    exists = connection.execute("SELECT to_regclass(%s)", [view.as_string(connection)]).fetchone()[0]
    if exists is None:
        query = sql.SQL(
            "CREATE OR REPLACE VIEW {} AS "
            "SELECT interval_start, interval_end, rows_in, published, quarantined, repaired, run, at "
            "FROM account WHERE use_case = {} AND source_table = {} ORDER BY interval_start"
        )
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"accounts {use_case} {table}",))
        connection.execute(query.format(view, sql.Literal(use_case), sql.Literal(table)))


def _values(a: Account) -> tuple[Any, ...]:
    start, end = a.interval.start, a.interval.end
    return (a.table, start, end, a.rows_in, a.published, a.quarantined, a.repaired, a.run, a.at, a.seen)


def _account(row: Sequence[Any]) -> Account:
    table, start, end, rows_in, published, quarantined, repaired, run, at, seen = row
    return Account(
        table=table,
        interval=Interval(start, end),
        rows_in=rows_in,
        published=published,
        quarantined=quarantined,
        repaired=repaired,
        run=run,
        at=at,
        seen=seen,
    )
