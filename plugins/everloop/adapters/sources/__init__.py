"""Where rows come from: PostgreSQL tables and dropped files, each held to its column contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import pyarrow as pa

from everloop.adapters.sources import changes, files, postgres
from everloop.adapters.sources.gathered import BATCH_BYTES
from everloop.adapters.sources.landing import open_landing
from everloop.interval import Interval
from everloop.use_case import PostgresTable, SourceTable

__all__ = ["Sources"]


class Sources:
    """`ports.Source` over every kind of source that a use case may name.

    `connections`: libpq URIs by name. `landing`: a folder or `s3://bucket/prefix`. `s3_endpoint`: for stores other than AWS.
    `batch_bytes`: the size of a batch that is extracted.
    """

    def __init__(
        self,
        connections: Mapping[str, str],
        landing: str,
        s3_endpoint: str | None = None,
        *,
        batch_bytes: int = BATCH_BYTES,
    ) -> None:
        self._connections = connections
        self._batch_bytes = batch_bytes
        self._landing = open_landing(landing, s3_endpoint)

    def extract(self, table: SourceTable, interval: Interval) -> Iterator[pa.RecordBatch]:
        """See `ports.Source.extract`."""
        if isinstance(table.source, PostgresTable):
            return postgres.extract(self._connections, table, table.source, interval, self._batch_bytes)
        return files.extract(self._landing, table, table.source, interval, self._batch_bytes)

    def watermark(self, table: SourceTable) -> datetime | None:
        """See `ports.Source.watermark`; the rules are those of `postgres.watermark` and `files.watermark`."""
        if isinstance(table.source, PostgresTable):
            return postgres.watermark(self._connections, table, table.source)
        return files.watermark(self._landing, table.source)

    def changes(
        self, table: SourceTable, since: datetime | None, until: datetime, grid_origin: datetime, length: timedelta
    ) -> dict[datetime, datetime]:
        """See `ports.Source.changes`; the rules are those of `changes.in_postgres` and `changes.in_files`."""
        if isinstance(table.source, PostgresTable):
            return changes.in_postgres(self._connections, table, table.source, since, until, grid_origin, length)
        return changes.in_files(self._landing, table.source, since, until, grid_origin, length)
