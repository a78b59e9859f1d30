"""The monitor's results and the consumers' cursors in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from everloop.adapters.database import connect
from everloop.decide.chain import canonical
from everloop.interval import Interval
from everloop.ports import Measurement

_COLUMNS = "kind, release, subject, interval_start, interval_end, value, verdict, detail"


class PostgresMeasurements:
    """`ports.Measurements` over the tables `measurement` and `cursor`."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def write(self, use_case: str, measurements: Sequence[Measurement]) -> None:
        """Upsert by (use case, kind, release, subject, interval start), all or none."""
        statement = f"""
            INSERT INTO measurement (use_case, {_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (use_case, kind, release, subject, interval_start) DO UPDATE SET
                interval_end = EXCLUDED.interval_end, value = EXCLUDED.value,
                verdict = EXCLUDED.verdict, detail = EXCLUDED.detail
        """
        rows = [
            (
                use_case,
                m.kind,
                m.release,
                m.subject,
                m.interval.start,
                m.interval.end,
                m.value,
                str(m.verdict),
                canonical(m.detail),
            )
            for m in sorted(measurements, key=lambda m: (m.kind, m.release, m.subject, m.interval))
        ]
        with connect(self._uri) as connection, connection.cursor() as cursor:
            cursor.executemany(statement, rows)

    def read(
        self,
        use_case: str,
        *,
        kind: str | None = None,
        release: str | None = None,
        subject: str | None = None,
        until: datetime | None = None,
        newest: int | None = None,
    ) -> list[Measurement]:
        """See `ports.Measurements.read`. With kind, release and subject the primary key gives the newest rows first."""
        where: list[str] = ["use_case = %s"]
        values: list[Any] = [use_case]
        asked = {"kind =": kind, "release =": release, "subject =": subject, "interval_end <=": until}
        for condition, value in asked.items():
            if value is not None:
                where.append(f"{condition} %s")
                values.append(value)
        order = "interval_start DESC, kind DESC, release DESC, subject DESC"
        statement = f"SELECT {_COLUMNS} FROM measurement WHERE {' AND '.join(where)} ORDER BY {order} LIMIT %s"
        with connect(self._uri) as connection:
            return [_measurement(row) for row in connection.execute(statement, [*values, newest])][::-1]

    def cursor(self, use_case: str, consumer: str) -> datetime | None:
        """Up to when (exclusive, data time) `consumer` has worked."""
        statement = "SELECT position FROM cursor WHERE use_case = %s AND consumer = %s"
        with connect(self._uri) as connection:
            row = connection.execute(statement, (use_case, consumer)).fetchone()
        return row[0].astimezone(UTC) if row else None

    def advance(self, use_case: str, consumer: str, position: datetime) -> None:
        """Move the cursor forward; never back."""
        statement = """
            INSERT INTO cursor (use_case, consumer, position) VALUES (%s, %s, %s)
            ON CONFLICT (use_case, consumer) DO UPDATE SET position = EXCLUDED.position
            WHERE cursor.position < EXCLUDED.position
        """
        with connect(self._uri) as connection:
            connection.execute(statement, (use_case, consumer, position))


def _measurement(row: Sequence[Any]) -> Measurement:
    kind, release, subject, start, end, value, verdict, detail = row
    interval = Interval(start, end)
    return Measurement(
        interval=interval, release=release, kind=kind, subject=subject, value=value, verdict=verdict, detail=detail
    )
