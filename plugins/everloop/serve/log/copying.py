"""A shipment into table `prediction`: one COPY, and where PostgreSQL refuses something, all but that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

import psycopg
from psycopg import errors

from everloop.serve.log.decoding import Key
from everloop.serve.log.record import SHADOW_FAILED, Record, ShadowRecord

Connection = psycopg.Connection[Any]
Refuse = Callable[[bytes, str], None]

REFUSED = (psycopg.DataError, psycopg.IntegrityError, errors.ProgramLimitExceeded)
"""What PostgreSQL says of a row that it cannot hold, now or ever; the last: a text that is too long for an index."""

_COLUMNS = ", ".join(Record.__struct_fields__)
_COPY = f"COPY prediction ({_COLUMNS}) FROM STDIN"
_INSERT = f"INSERT INTO prediction ({_COLUMNS}) SELECT {_COLUMNS} FROM arrived ON CONFLICT DO NOTHING"
_SHADOW = """
    UPDATE prediction p SET shadow_release = s.release, shadow_score = s.score,
        flags = CASE WHEN s.failed AND NOT %(flag)s = ANY(p.flags) THEN p.flags || %(flag)s::text ELSE p.flags END
    FROM unnest(%(use_case)s::text[], %(request)s::text[], %(row)s::int[], %(at)s::timestamptz[], %(release)s::text[],
                %(score)s::float8[], %(failed)s::boolean[]) AS s (use_case, request_id, row_number, at, release, score, failed)
    WHERE p.use_case = s.use_case AND p.request_id = s.request_id AND p.row_number = s.row_number AND p.at = s.at
        AND p.at BETWEEN %(first)s AND %(last)s
"""
_LATE = """
    INSERT INTO prediction_late (use_case, day) SELECT use_case, day FROM unnest(%s::text[], %s::date[]) AS t (use_case, day)
    WHERE day < (clock_timestamp() AT TIME ZONE 'UTC')::date ORDER BY use_case, day
    ON CONFLICT (use_case, day) DO UPDATE SET at = clock_timestamp()
"""


def make_partitions(connection: Connection, days: Iterable[date]) -> None:
    """See to it that each day has its partition. Where a lock is not to be had, its rows go to the default one, as right."""
    for day in sorted(days):
        try:
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '2s'")
                connection.execute("SELECT prediction_partition(%s)", (day,))
        except (errors.LockNotAvailable, errors.DeadlockDetected, errors.QueryCanceled):
            continue


def copy_rows(connection: Connection, text: bytearray, refuse: Refuse) -> int:
    """Copy lines; the number of rows that are new. `refuse` gets each line that PostgreSQL cannot hold, and its words."""
    if not text:
        return 0
    try:
        with connection.transaction(), connection.cursor() as cursor:
            with cursor.copy(_COPY) as copy:
                copy.write(text)
            return cursor.rowcount
    except REFUSED:
        # COPY takes all or nothing. A line holds no line break but its last, as COPY escapes them.
        return _sift(connection, text.splitlines(keepends=True), refuse)


def cast_shadows(connection: Connection, shadows: Mapping[Key, ShadowRecord], refuse: Refuse) -> None:
    """Add shadows to rows that were shipped before; one whose row is gone (erased, refused) goes with it."""
    given = list(shadows.values())
    if not given:
        return
    try:
        with connection.transaction():
            connection.execute(_SHADOW, _arrays(given))
    except REFUSED as error:
        if len(given) == 1:
            refuse(repr(given[0]).encode(), str(error))
            return
        keys = list(shadows)
        for half in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
            cast_shadows(connection, {key: shadows[key] for key in half}, refuse)


def note_late(connection: Connection, days: Iterable[tuple[str, date]]) -> None:
    """Note the days that were over when this came, so that the lake gets them again."""
    if pairs := sorted(set(days)):
        connection.execute(_LATE, [list(column) for column in zip(*pairs, strict=True)])


def _sift(connection: Connection, lines: list[bytearray], refuse: Refuse) -> int:
    """Insert what is new and right of `lines`, by halves, down to each line that is refused."""
    try:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE arrived (LIKE prediction) ON COMMIT DROP")
            with cursor.copy(f"COPY arrived ({_COLUMNS}) FROM STDIN") as copy:
                copy.write(b"".join(lines))
            cursor.execute(_INSERT)
            inserted = cursor.rowcount
            cursor.execute("DROP TABLE arrived")
            return inserted
    except REFUSED as error:
        if len(lines) == 1:
            refuse(bytes(lines[0]), str(error))
            return 0
    middle = len(lines) // 2
    return _sift(connection, lines[:middle], refuse) + _sift(connection, lines[middle:], refuse)


def _arrays(shadows: list[ShadowRecord]) -> dict[str, Any]:
    moments = [one.at for one in shadows]
    return {
        "flag": SHADOW_FAILED,
        "use_case": [one.use_case for one in shadows],
        "request": [one.request_id for one in shadows],
        "row": [one.row_number for one in shadows],
        "at": moments,
        "release": [one.shadow_release for one in shadows],
        "score": [one.shadow_score for one in shadows],
        "failed": [one.error is not None for one in shadows],
        # Constants, so that the planner sees which partitions matter.
        "first": min(moments),
        "last": max(moments),
    }
