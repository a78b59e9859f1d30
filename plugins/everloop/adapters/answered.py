"""Whole days of the prediction log in PostgreSQL, by when the rows were answered, for the lake."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import pyarrow as pa

from everloop.adapters.copied import copied_in_batches
from everloop.adapters.database import connect
from everloop.adapters.partitions import day_of, leaves
from everloop.adapters.traffic import SCHEMA as JOINED
from everloop.ports import Batches

SCHEMA = pa.schema(
    [JOINED.field("request_id"), pa.field("row_number", pa.int32()), *list(JOINED)[1 : JOINED.get_field_index("latency_ms") + 1]]
)
"""The columns of `ports.AnsweredDays`."""

_OF_DAY = """
    p.use_case = %(use_case)s AND p.at >= %(day)s::timestamp AT TIME ZONE 'UTC'
    AND p.at < (%(day)s + 1)::timestamp AT TIME ZONE 'UTC'
"""
_ORDER = "ORDER BY p.at, p.request_id, p.row_number"
_BATCH_BYTES = 32 << 20
_READ_SECONDS = 3600


class PostgresAnswered:
    """`ports.AnsweredDays` over the partitions of `prediction`."""

    def __init__(self, uri: str, batch_bytes: int = _BATCH_BYTES) -> None:
        self._uri = uri
        self._batch_bytes = batch_bytes

    def days(self, use_case: str, until: date) -> list[date]:
        """See `ports.AnsweredDays.days`."""
        held = """
            SELECT day FROM unnest(%(days)s::date[]) AS d (day) WHERE EXISTS (
                SELECT FROM prediction p WHERE p.use_case = %(use_case)s AND p.at >= day::timestamp AT TIME ZONE 'UTC'
                    AND p.at < (day + 1)::timestamp AT TIME ZONE 'UTC')
            UNION SELECT (at AT TIME ZONE 'UTC')::date FROM prediction_default WHERE use_case = %(use_case)s
        """
        with connect(self._uri) as connection:
            days = [day for leaf in leaves(connection) if (day := day_of(leaf)) is not None and day < until]
            found = connection.execute(held, {"days": days, "use_case": use_case}).fetchall()
        return sorted(day for (day,) in found if day < until)

    def rows(self, use_case: str, day: date) -> Batches:
        """See `ports.AnsweredDays.rows`."""
        values = {"use_case": use_case, "day": day}
        with connect(self._uri) as connection:
            counted = connection.execute(f"SELECT count(*) FROM prediction p WHERE {_OF_DAY}", values).fetchone()
        columns = ", ".join("array_to_json(p.flags)" if name == "flags" else f"p.{name}" for name in SCHEMA.names)
        statement = f"COPY (SELECT {columns} FROM prediction p WHERE {_OF_DAY} {_ORDER}) TO STDOUT (FORMAT csv)"

        def read() -> Iterator[pa.RecordBatch]:
            with connect(self._uri, statement_seconds=_READ_SECONDS) as connection:
                yield from copied_in_batches(connection, statement, values, SCHEMA, self._batch_bytes)

        return Batches(SCHEMA, counted[0] if counted else 0, read)

    def late(self, use_case: str) -> dict[date, datetime]:
        """See `ports.AnsweredDays.late`."""
        with connect(self._uri) as connection:
            return dict(connection.execute("SELECT day, at FROM prediction_late WHERE use_case = %s", (use_case,)).fetchall())

    def settle(self, use_case: str, day: date, at: datetime) -> None:
        """See `ports.AnsweredDays.settle`."""
        with connect(self._uri) as connection:
            connection.execute("DELETE FROM prediction_late WHERE use_case = %s AND day = %s AND at = %s", (use_case, day, at))
