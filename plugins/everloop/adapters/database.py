"""Connections to the everloop database, and its schema."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from everloop.errors import SourceError

SCHEMA = Path(__file__).with_name("schema.sql")
_MIGRATION_LOCK = 0x65766572_6C6F6F70
"""The advisory lock of migrations: "everloop" in ASCII."""


def connect(uri: str, *, statement_seconds: float = 120, autocommit: bool = False) -> psycopg.Connection[tuple[Any, ...]]:
    """A short-lived connection in UTC: use it as a context manager, which commits (or rolls back) and closes.

    Gives up after 10 s to connect, `statement_seconds` a statement, 15 s waiting for a lock. `SourceError` when unreachable.
    """
    options = (
        f"-c timezone=UTC -c statement_timeout={int(statement_seconds * 1000)} -c lock_timeout=15000 "
        "-c idle_in_transaction_session_timeout=120000"
    )
    try:
        return psycopg.connect(
            uri,
            connect_timeout=10,
            application_name="everloop",
            client_encoding="utf8",
            options=options,
            autocommit=autocommit,
        )
    except psycopg.OperationalError as error:
        raise SourceError(
            f"PostgreSQL {place(uri)} does not answer: {str(error).strip()}: start the stack with `everloop up`, or correct "
            "EVERLOOP_DATABASE"
        ) from error


def place(uri: str) -> str:
    """Host, port and database of a libpq URI, without its password."""
    parts: dict[str, Any] = {}
    with suppress(psycopg.ProgrammingError):
        parts = conninfo_to_dict(uri)
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '?')}"


def migrate(uri: str) -> None:
    """Apply schema.sql in one transaction. May run again, and at the same moment from many processes."""
    with connect(uri) as connection:
        connection.execute("SET LOCAL lock_timeout = '60s'")
        # Moving the rows of an earlier layout takes as long as it takes.
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
        connection.execute(SCHEMA.read_bytes())
