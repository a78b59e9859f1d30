"""The prediction log and the outcomes in PostgreSQL, read by COPY straight into Arrow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pyarrow as pa

from everloop.adapters.copied import copied
from everloop.adapters.database import connect
from everloop.adapters.partitions import drop_empty, leaves
from everloop.decide.release.evidence.columns import FIELD
from everloop.interval import Interval

_TIME = pa.timestamp("us", "UTC")
SCHEMA = pa.schema(
    {
        "request_id": pa.string(),
        "key": pa.string(),
        "entity": pa.string(),
        "at": _TIME,
        "as_of": _TIME,
        "arm": pa.string(),
        "rollout": pa.string(),
        "release": pa.string(),
        "score": pa.float64(),
        "decision": pa.bool_(),
        "shadow_release": pa.string(),
        "shadow_score": pa.float64(),
        "features": pa.string(),
        "flags": pa.list_(pa.string()),
        "error": pa.string(),
        "latency_ms": pa.float64(),
        "label": pa.bool_(),
        "known_at": _TIME,
    }
)
"""The columns of `ports.TrafficLog`."""

_FROM_OUTCOME = ("label", "known_at")
_JOINED = "prediction p LEFT JOIN outcome o ON o.use_case = p.use_case AND o.key = p.key"
_DELETE_BATCH = 20_000
_IN_FLIGHT = timedelta(seconds=5)
"""How long before a look an outcome may have been stamped that was not to be seen then: its transaction ran."""


class PostgresTraffic:
    """`ports.TrafficLog` over the tables `prediction`, `outcome` and `erasure_request`."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def served(self, use_case: str, interval: Interval, columns: Sequence[str] | None = None) -> pa.Table:
        """Predictions with `as_of` (data time) in `interval`, outcomes joined, in the order in which they were answered."""
        condition = "p.as_of >= %(start)s AND p.as_of < %(end)s"
        return self._read(condition, {"use_case": use_case, "start": interval.start, "end": interval.end}, _of(columns))

    def since(
        self,
        use_case: str,
        rollout: str,
        since: datetime,
        columns: Sequence[str] | None = None,
        fields: Sequence[str] = (),
    ) -> pa.Table:
        """Predictions of a rollout answered since `since` (wall clock), outcomes joined, in that order."""
        condition = "p.rollout = %(rollout)s AND p.at >= %(since)s"
        schema = pa.schema([*_of(columns), *(pa.field(f"{FIELD}{name}", pa.string()) for name in fields)])
        values = {"use_case": use_case, "rollout": rollout, "since": since}
        return self._read(condition, values | {f"{FIELD}{name}": name for name in fields}, schema)

    def keys_without_outcome(self, use_case: str, interval: Interval) -> list[str]:
        """Keys predicted for `interval` whose outcome is not known yet, sorted."""
        statement = f"""
            SELECT DISTINCT p.key FROM {_JOINED}
            WHERE p.use_case = %s AND p.as_of >= %s AND p.as_of < %s AND o.key IS NULL ORDER BY p.key
        """
        with connect(self._uri) as connection:
            return [row[0] for row in connection.execute(statement, (use_case, interval.start, interval.end))]

    def record_outcomes(self, use_case: str, outcomes: Sequence[tuple[str, bool, datetime]]) -> int:
        """Upsert `(key, label, known_at)`; a newer `known_at` wins. Returns how many rows changed."""
        # In key order, so that two writers of the same keys wait for each other instead of deadlocking.
        statement = """
            INSERT INTO outcome (use_case, key, label, known_at)
            SELECT DISTINCT ON (key) %s, key, label, known_at
            FROM unnest(%s::text[], %s::boolean[], %s::timestamptz[]) AS given (key, label, known_at)
            ORDER BY key, known_at DESC
            ON CONFLICT (use_case, key) DO UPDATE
            SET label = EXCLUDED.label, known_at = EXCLUDED.known_at, recorded_at = now()
            WHERE outcome.known_at < EXCLUDED.known_at
        """
        columns = [list(column) for column in zip(*outcomes, strict=True)]
        if not columns:
            return 0
        with connect(self._uri) as connection:
            return connection.execute(statement, [use_case, *columns]).rowcount

    def labels(self, use_case: str, keys: Collection[str]) -> dict[str, bool]:
        """The outcomes that are known of `keys`."""
        statement = "SELECT key, label FROM outcome WHERE use_case = %s AND key = ANY(%s)"
        with connect(self._uri) as connection:
            return dict(connection.execute(statement, (use_case, list(keys))).fetchall())

    def relabelled(
        self, use_case: str, since: datetime | None, origin: datetime, length: timedelta
    ) -> tuple[list[datetime], datetime]:
        """See `ports.TrafficLog.relabelled`. The cost is that of the outcomes recorded since, whatever the log's length."""
        statement = """
            SELECT DISTINCT date_bin(%s, p.as_of, %s) AS start
            FROM outcome o JOIN prediction p ON p.use_case = o.use_case AND p.key = o.key
            WHERE o.use_case = %s AND o.recorded_at >= %s ORDER BY start
        """
        with connect(self._uri) as connection:
            now = connection.execute("SELECT clock_timestamp()").fetchone()
            assert now is not None  # noqa: S101 - a clock always tells
            if since is None:
                return [], now[0]
            found = connection.execute(statement, (length, origin, use_case, since - _IN_FLIGHT)).fetchall()
            return [start for (start,) in found], now[0]

    def last_asked(self, use_case: str) -> datetime | None:
        """The latest data time as of which anything was predicted."""
        with connect(self._uri) as connection:
            row = connection.execute("SELECT max(as_of) FROM prediction WHERE use_case = %s", (use_case,)).fetchone()
        return row[0] if row else None

    def erase(self, use_case: str, entities: Sequence[str]) -> int:
        """Delete the predictions of `entities` and their outcomes; returns the number of predictions deleted."""
        of_entities, values = "use_case = %s AND entity = ANY(%s)", (use_case, list(entities))
        with connect(self._uri) as connection:
            connection.execute(
                f"DELETE FROM outcome WHERE use_case = %s AND key IN (SELECT key FROM prediction WHERE {of_entities})",
                (use_case, *values),
            )
            return connection.execute(f"DELETE FROM prediction WHERE {of_entities}", values).rowcount

    def expire(self, use_case: str, before: datetime) -> int:
        """Delete predictions and outcomes with data time before `before`, in batches; returns the rows deleted."""
        with connect(self._uri, autocommit=True) as connection:
            # A partition at a time: `ctid` names a row within one alone.
            deleted = sum(_expire(connection, leaf, "as_of", use_case, before) for leaf in leaves(connection))
            drop_empty(connection)
            return deleted + _expire(connection, "outcome", "known_at", use_case, before)

    def request_erasure(self, use_case: str, entity: str, at: datetime) -> int:
        """Note that `entity` asks to be forgotten; returns the request's number."""
        statement = "INSERT INTO erasure_request (use_case, entity, requested_at) VALUES (%s, %s, %s) RETURNING id"
        with connect(self._uri) as connection:
            row = connection.execute(statement, (use_case, entity, at)).fetchone()
        assert row is not None  # noqa: S101 - RETURNING gives a row
        return int(row[0])

    def erasure_requests(self, use_case: str) -> dict[int, str]:
        """The open requests: number to entity, oldest first."""
        statement = "SELECT id, entity FROM erasure_request WHERE use_case = %s AND done_at IS NULL ORDER BY id"
        with connect(self._uri) as connection:
            return dict(connection.execute(statement, (use_case,)).fetchall())

    def close_erasures(self, use_case: str, requests: Sequence[int], at: datetime) -> None:
        """Mark requests done, and forget whom they named."""
        statement = (
            "UPDATE erasure_request SET done_at = %s, entity = NULL WHERE use_case = %s AND id = ANY(%s) AND done_at IS NULL"
        )
        with connect(self._uri) as connection:
            connection.execute(statement, (at, use_case, list(requests)))

    def _read(self, condition: str, values: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
        statement = f"""
            COPY (SELECT {", ".join(map(_expression, schema.names))} FROM {_JOINED}
                  WHERE p.use_case = %(use_case)s AND {condition} ORDER BY p.at, p.request_id, p.row_number)
            TO STDOUT (FORMAT csv)
        """
        with connect(self._uri) as connection:
            return copied(connection, statement, values, schema)


def _of(columns: Sequence[str] | None) -> pa.Schema:
    return SCHEMA if columns is None else pa.schema([SCHEMA.field(name) for name in columns])


def _expression(name: str) -> str:
    if name.startswith(FIELD):
        return f"p.features -> 'request' ->> %({name})s"
    return "array_to_json(p.flags)" if name == "flags" else f"{'o' if name in _FROM_OUTCOME else 'p'}.{name}"


def _expire(connection: psycopg.Connection[Any], table: str, column: str, use_case: str, before: datetime) -> int:
    # By small transactions: a year of traffic in one would hold back vacuum and run into the statement's time limit.
    statement = f"""
        DELETE FROM {table} WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM {table} WHERE use_case = %s AND {column} < %s LIMIT {_DELETE_BATCH}))
    """
    deleted = 0
    # Two use cases expire side by side, and one may drop what both have emptied.
    with suppress(psycopg.errors.UndefinedTable):
        while count := connection.execute(statement, (use_case, before)).rowcount:
            deleted += count
    return deleted
