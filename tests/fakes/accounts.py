"""Accounts and open intervals in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from everloop.errors import DataError
from everloop.interval import Interval
from everloop.ports import Account


class InMemoryAccounts:
    """`ports.Accounts` over dictionaries."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, str, datetime], tuple[Account, datetime]] = {}
        self._open: dict[tuple[str, datetime], tuple[Interval, datetime, str]] = {}

    def record(self, use_case: str, accounts: Sequence[Account]) -> None:
        for account in accounts:
            if account.rows_in != account.published + account.quarantined:
                raise DataError(f"{account} does not add up")
        for account in accounts:
            self._accounts[use_case, account.table, account.interval.start] = (account, datetime.now(UTC))

    def read(
        self, use_case: str, *, intervals: Collection[Interval] | None = None, recorded_since: datetime | None = None
    ) -> list[Account]:
        starts = None if intervals is None else {interval.start for interval in intervals}
        found = [
            account
            for (owner, _, start), (account, recorded) in self._accounts.items()
            if owner == use_case
            and (starts is None or start in starts)
            and (recorded_since is None or recorded >= recorded_since)
        ]
        return sorted(found, key=lambda account: (account.table, account.interval))

    def open(self, use_case: str, intervals: Collection[Interval], at: datetime, reason: str) -> None:
        for interval in intervals:
            standing = self._open.get((use_case, interval.start))
            if standing is None or standing[1] < at:
                self._open[use_case, interval.start] = (interval, at, reason)

    def opened(self, use_case: str) -> dict[Interval, str]:
        return {interval: reason for (owner, _), (interval, _, reason) in sorted(self._open.items()) if owner == use_case}

    def close(self, use_case: str, intervals: Collection[Interval]) -> None:
        for interval in intervals:
            read = [account.at for account in self.read(use_case, intervals=[interval])]
            standing = self._open.get((use_case, interval.start))
            if standing and read and standing[1] <= min(read):
                del self._open[use_case, interval.start]
