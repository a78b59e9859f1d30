"""Which data intervals a source has changed, and when: by a column that says so, or by the times of files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from psycopg import sql

from everloop.adapters.sources.postgres import identifier, snapshot

if TYPE_CHECKING:
    from everloop.adapters.sources.landing import Landing
    from everloop.use_case import DroppedFiles, PostgresTable, SourceTable

Changes = dict[datetime, datetime]


def in_postgres(
    connections: Mapping[str, str],
    table: SourceTable,
    source: PostgresTable,
    since: datetime | None,
    until: datetime,
    grid_origin: datetime,
    length: timedelta,
) -> Changes:
    """By `table.changed_at`; nothing without one. Rows without event time belong to no interval yet."""
    if table.changed_at is None:
        return {}
    changed, event = (sql.SQL("{}::timestamptz").format(sql.Identifier(name)) for name in (table.changed_at, table.event_time))
    query = sql.SQL(
        "SELECT floor(extract(epoch FROM {event} - {origin}) / {seconds})::bigint AS n, max({changed}) FROM {table} "
        "WHERE {changed} >= {since} AND {changed} < {until} AND {event} IS NOT NULL GROUP BY n"
    ).format(
        event=event,
        origin=sql.Literal(grid_origin),
        seconds=sql.Literal(length.total_seconds()),
        changed=changed,
        table=identifier(source.table),
        since=sql.SQL("'-infinity'::timestamptz") if since is None else sql.Literal(since),
        until=sql.Literal(until),
    )
    with snapshot(connections, source) as connection:
        return {grid_origin + n * length: latest.astimezone(UTC) for n, latest in connection.execute(query)}


def in_files(
    landing: Landing,
    source: DroppedFiles,
    since: datetime | None,
    until: datetime,
    grid_origin: datetime,
    length: timedelta,
) -> Changes:
    """By when a day's file was last written; the day counts for the interval in which it begins."""
    found: Changes = {}
    for name, written in landing.written(source.pattern.partition("%")[0]).items():
        try:
            day = datetime.strptime(name, source.pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
        if written < until and (since is None or written >= since):
            start = grid_origin + (day - grid_origin) // length * length
            found[start] = max(written, found.get(start, written))
    return found
