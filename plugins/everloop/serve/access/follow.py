"""Reads the live keys, for the thread that follows the ledger."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import psycopg

from everloop.serve.access.access import Access
from everloop.serve.access.keys import Key, Keyring
from everloop.serve.access.limits import Limit

CHANNEL = "everloop_api_key"
"""What rings when a key is made, revoked or rotated."""

_LIVE = """
    SELECT id, name, sha256, scopes, requests_per_second, burst, expires_at FROM api_key
    WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""
_MARK = "SELECT sum(hash_record_extended(k, 0)) FROM api_key k"


def read_keys(connection: psycopg.Connection[Any]) -> Keyring:
    """All live keys now. Raises psycopg's errors."""
    keys = {row[0]: _key(*row) for row in connection.execute(_LIVE)}
    row = connection.execute("SELECT EXISTS (SELECT FROM api_key)").fetchone()
    return Keyring(MappingProxyType(keys), guarded=bool(keys) or bool(row and row[0]))


class KeyReader:
    """Gives `access` the live keys whenever the table is not what it was at the last look.

    A look at an unchanged table costs the database a hash of its rows and this process next to nothing, so that it may be taken
    every second; and a keyring that stays keeps what was verified by it.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._mark: tuple[Any, ...] | None = None

    def look(self, connection: psycopg.Connection[Any]) -> None:
        """To be called at each notification of `CHANNEL` and at each poll. Raises psycopg's errors."""
        # The mark first: rows that change in between are read, and read again at the next look.
        mark = connection.execute(_MARK).fetchone()
        if mark != self._mark:
            self._access.keyring = read_keys(connection)
            self._mark = mark


def _key(id_: str, name: str, digest: bytes, scopes: list[str], rate: float | None, burst: int | None, expires_at: Any) -> Key:
    limit = None if rate is None or burst is None else Limit(rate, burst)
    return Key(id=id_, name=name, digest=digest, scopes=frozenset(scopes), limit=limit, expires_at=expires_at)
