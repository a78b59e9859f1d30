"""The ledger in memory: same chain, same conflicts."""

from __future__ import annotations

import json
from datetime import datetime
from threading import Lock

from everloop.adapters.ledger import Row, conflict, entry, linked, state
from everloop.decide.chain import GENESIS, broken, canonical, plain
from everloop.decide.release.state import ReleaseState
from everloop.errors import LedgerConflict
from everloop.ports import Decision, Entry


class InMemoryLedger:
    """`ports.Ledger` over a dict of lists. `rows` may be tampered with in tests."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {}
        self._lock = Lock()

    def head(self, use_case: str) -> tuple[int, ReleaseState]:
        rows = self.rows.get(use_case, [])
        return (rows[-1]["seq"], state(rows[-1]["after"])) if rows else (0, ReleaseState())

    def append(self, use_case: str, decision: Decision, *, expected: int, at: datetime) -> Entry:
        with self._lock:
            rows = self.rows.get(use_case, [])
            if len(rows) != expected:
                raise LedgerConflict(conflict(use_case, expected))
            before = rows[-1]["after"] if rows else plain(ReleaseState())
            row = linked(use_case, decision, expected, at, before, rows[-1]["hash"] if rows else GENESIS)
            stored = {name: json.loads(canonical(value)) if isinstance(value, dict) else value for name, value in row.items()}
            self.rows.setdefault(use_case, []).append(stored)
        return entry(row)

    def entries(self, use_case: str, *, after: int = 0, subject: str | None = None, action: str | None = None) -> list[Entry]:
        found = [entry(row) for row in self.rows.get(use_case, []) if row["seq"] > after]
        return [e for e in found if subject in (None, e.subject) and action in (None, e.action)]

    def verify(self, use_case: str) -> str | None:
        return broken(self.rows.get(use_case, []))

    def use_cases(self) -> list[str]:
        return sorted(self.rows)
