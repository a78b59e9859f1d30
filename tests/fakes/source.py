"""A source in memory: rows as text, as a file or a database would give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from everloop.adapters.sources.contract import check_columns, conform
from everloop.adapters.sources.gathered import gathered
from everloop.errors import SourceError
from everloop.interval import Interval
from everloop.use_case import SourceTable


class MemorySource:
    """`ports.Source` over rows put into it; `complete` says up to when. `down` makes it unreachable; `size`: bytes of a batch."""

    def __init__(self, size: int = 1_000_000) -> None:
        self.down = False
        self._size = size
        self._rows: dict[str, list[Mapping[str, str | None]]] = {}
        self._complete: dict[str, datetime] = {}
        self._changes: dict[str, list[tuple[datetime, datetime]]] = {}

    def put(self, table: str, rows: Sequence[Mapping[str, str | None]], complete: datetime) -> None:
        self._rows[table] = [*self._rows.get(table, []), *rows]
        self._complete[table] = complete

    def extract(self, table: SourceTable, interval: Interval) -> Iterator[pa.RecordBatch]:
        rows = self._reach().get(table.name, [])
        columns = list(rows[0]) if rows else list(table.columns)
        extra = check_columns(columns, table, f"Table {table.name}")
        texts = pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in columns})
        found = conform(texts, table, {}, extra)
        times = found[table.event_time]
        outside = pc.or_(pc.less(times, interval.start), pc.greater_equal(times, interval.end))
        found = found.filter(pc.invert(pc.fill_null(outside, True)))
        return gathered((found.slice(n, 1) for n in range(found.num_rows)), table, self._size)

    def watermark(self, table: SourceTable) -> datetime | None:
        self._reach()
        return self._complete.get(table.name)

    def change(self, table: str, event: datetime, at: datetime) -> None:
        """Say that a row with this event time was written `at`."""
        self._changes.setdefault(table, []).append((event, at))

    def changes(
        self, table: SourceTable, since: datetime | None, until: datetime, grid_origin: datetime, length: timedelta
    ) -> dict[datetime, datetime]:
        self._reach()
        found: dict[datetime, datetime] = {}
        for event, at in self._changes.get(table.name, []):
            if at < until and (since is None or at >= since):
                start = grid_origin + (event - grid_origin) // length * length
                found[start] = max(at, found.get(start, at))
        return found

    def _reach(self) -> dict[str, list[Mapping[str, str | None]]]:
        if self.down:
            raise SourceError("The source is down: run again when it answers")
        return self._rows
