"""The partitions of table `prediction`: one a day (UTC) of when a row was answered, and a default one for what has none yet."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]

DEFAULT = "prediction_default"

_PREFIX = "prediction_"
_KEPT = timedelta(days=1)
"""An empty partition is kept for so long: rows may be on their way."""


def leaves(connection: Connection) -> list[str]:
    """The names of all partitions, oldest day first, the default one last."""
    statement = """
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'prediction'::regclass ORDER BY c.relname
    """
    return [name for (name,) in connection.execute(statement)]


def day_of(leaf: str) -> date | None:
    """The day of a partition; `None` for the default one."""
    return None if leaf == DEFAULT else datetime.strptime(leaf, f"{_PREFIX}%Y%m%d").replace(tzinfo=UTC).date()


def drop_empty(connection: Connection) -> list[str]:
    """Drop the partitions of days before yesterday that hold nothing; their names. On a connection that commits by itself.

    Rows that come for such a day afterwards get a new one. Where the lock is not to be had in 2 s, another day will do.
    """
    before = datetime.now(UTC).date() - _KEPT
    old = [leaf for leaf in leaves(connection) if (day := day_of(leaf)) is not None and day < before]
    return [leaf for leaf in old if _is_empty(connection, leaf) and _drop(connection, leaf)]


def _drop(connection: Connection, leaf: str) -> bool:
    with suppress(psycopg.errors.LockNotAvailable), connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '2s'")
        connection.execute("LOCK TABLE ONLY prediction IN ACCESS EXCLUSIVE MODE")
        # Looked again, now that nobody can write to it.
        if _is_empty(connection, leaf):
            connection.execute(f"DROP TABLE {leaf}")
            return True
    return False


def _is_empty(connection: Connection, leaf: str) -> bool:
    try:
        found = connection.execute(f"SELECT EXISTS (SELECT FROM {leaf})").fetchone()
    except psycopg.errors.UndefinedTable:
        return False
    return found is not None and not found[0]
