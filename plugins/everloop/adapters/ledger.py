"""The ledger in PostgreSQL: append-only by trigger, one writer per row by its primary key, hash-chained."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from everloop.adapters.database import connect
from everloop.decide.chain import GENESIS, broken, canonical, entry_hash, plain
from everloop.decide.release.state import ReleaseState
from everloop.errors import LedgerConflict
from everloop.ports import Decision, Entry

_COLUMNS = "use_case, seq, at, actor, action, subject, before, after, reason, evidence, previous_hash, hash"
_INSERT = f"INSERT INTO ledger ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
_BATCH = 1_000

Row = dict[str, Any]
"""A row as PostgreSQL holds it: what is hashed, so that a state written by older code still verifies."""


class PostgresLedger:
    """`ports.Ledger` over the table `ledger`. Safe to share between threads: every call has its own connection."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def head(self, use_case: str) -> tuple[int, ReleaseState]:
        """The latest sequence number (0 when empty) and the state it left."""
        with connect(self._uri) as connection:
            row = connection.execute(
                "SELECT seq, after FROM ledger WHERE use_case = %s ORDER BY seq DESC LIMIT 1", (use_case,)
            ).fetchone()
        return (row[0], state(row[1])) if row else (0, ReleaseState())

    def append(self, use_case: str, decision: Decision, *, expected: int, at: datetime) -> Entry:
        """Write `decision` as row `expected + 1`; `LedgerConflict` when that row exists, or row `expected` does not."""
        with connect(self._uri) as connection:
            row = linked(use_case, decision, expected, at, *_tail(connection, use_case, expected))
            try:
                connection.execute(_INSERT, [canonical(v) if isinstance(v, dict) else v for v in row.values()])
            except psycopg.errors.UniqueViolation as error:
                raise LedgerConflict(conflict(use_case, expected)) from error
        return entry(row)

    def entries(self, use_case: str, *, after: int = 0, subject: str | None = None, action: str | None = None) -> list[Entry]:
        """Rows in order."""
        where, values = "use_case = %s AND seq > %s", [use_case, after]
        for column, value in (("subject", subject), ("action", action)):
            if value is not None:
                where += f" AND {column} = %s"
                values.append(value)
        with connect(self._uri) as connection:
            rows = connection.cursor(row_factory=dict_row)
            rows.execute(f"SELECT {_COLUMNS} FROM ledger WHERE {where} ORDER BY seq", values)
            return [entry(row) for row in rows]

    def verify(self, use_case: str) -> str | None:
        """`None` when the whole chain is intact, else what is wrong with which row. Reads in batches, in one snapshot."""
        with connect(self._uri) as connection:
            return broken(_scan(connection, use_case))

    def use_cases(self) -> list[str]:
        """Every use case that has a row, sorted."""
        with connect(self._uri) as connection:
            return [row[0] for row in connection.execute("SELECT DISTINCT use_case FROM ledger ORDER BY use_case")]


def conflict(use_case: str, expected: int) -> str:
    """The words of a `LedgerConflict`."""
    return f"The ledger of {use_case} no longer ends at row {expected}: somebody else decided first; read it again, decide again"


def linked(use_case: str, decision: Decision, expected: int, at: datetime, before: Any, previous_hash: str) -> Row:
    """The row that appends `decision` after row `expected`, hashed. `DataError` for evidence that JSON cannot hold."""
    row: Row = {
        "use_case": use_case,
        "seq": expected + 1,
        "at": at,
        "actor": str(decision.actor),
        "action": str(decision.action),
        "subject": str(decision.subject),
        "before": before,
        "after": plain(decision.after, "after"),
        "reason": str(decision.reason),
        "evidence": plain(decision.evidence, "evidence"),
        "previous_hash": previous_hash,
    }
    return row | {"hash": entry_hash(row)}


def entry(row: Row) -> Entry:
    """A row as the port's value."""
    values = row | {"at": row["at"].astimezone(UTC), "before": state(row["before"]), "after": state(row["after"])}
    return Entry(**values)


def state(value: Any) -> ReleaseState:
    """A state as it was stored; fields that this version does not know are passed over."""
    return msgspec.convert(value, ReleaseState, strict=False)


def _tail(connection: psycopg.Connection[Any], use_case: str, expected: int) -> tuple[Any, str]:
    """State and hash that row `expected` left: what the new row follows."""
    if expected == 0:
        return plain(ReleaseState()), GENESIS
    found = connection.execute("SELECT after, hash FROM ledger WHERE use_case = %s AND seq = %s", (use_case, expected)).fetchone()
    if found is None:
        raise LedgerConflict(conflict(use_case, expected))
    return found[0], found[1]


def _scan(connection: psycopg.Connection[Any], use_case: str) -> Iterator[Row]:
    with connection.cursor("ledger_scan", row_factory=dict_row) as rows:
        rows.itersize = _BATCH
        rows.execute(f"SELECT {_COLUMNS} FROM ledger WHERE use_case = %s ORDER BY seq", (use_case,))
        yield from rows
