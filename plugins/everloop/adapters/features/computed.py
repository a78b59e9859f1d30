"""Which definition made the feature rows of an interval, kept in PostgreSQL, and a lock while they are made."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from everloop.adapters.database import connect
from everloop.interval import Interval

_LOCK_WAIT = "600s"


@dataclass(frozen=True)
class MadeBy:
    """`definition`: a digest of what makes a view's rows. `inputs`: how many source intervals of its window were there."""

    definition: str
    inputs: int


class ComputedInterval:
    """The rows of one interval: who made which view's."""

    def __init__(self, connection: Any, use_case: str, interval: Interval) -> None:
        self._connection, self._use_case, self._start = connection, use_case, interval.start

    def made_by(self, view: str) -> MadeBy | None:
        """What made the view's rows last; `None` when nothing has."""
        statement = "SELECT definition, inputs FROM feature_interval WHERE use_case = %s AND view = %s AND interval_start = %s"
        row = self._connection.execute(statement, (self._use_case, view, self._start)).fetchone()
        return MadeBy(*row) if row else None

    def make(self, view: str, made_by: MadeBy) -> None:
        """Say what made the view's rows: after they are written, so that a stop in between makes them once more."""
        statement = """
            INSERT INTO feature_interval (use_case, view, interval_start, definition, inputs) VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT (use_case, view, interval_start) DO UPDATE
            SET definition = EXCLUDED.definition, inputs = EXCLUDED.inputs
        """
        self._connection.execute(statement, (self._use_case, view, self._start, made_by.definition, made_by.inputs))


@contextlib.contextmanager
def computing(uri: str, use_case: str, interval: Interval) -> Iterator[ComputedInterval]:
    """Keeps others from computing the same interval: of two runs that touch it, the later one sees what both published."""
    with connect(uri, autocommit=True) as connection:
        connection.execute(f"SET lock_timeout = '{_LOCK_WAIT}'")
        connection.execute(f"SET statement_timeout = '{_LOCK_WAIT}'")
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (f"features {use_case} {interval.label}",))
        yield ComputedInterval(connection, use_case, interval)
