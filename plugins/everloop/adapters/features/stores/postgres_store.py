"""The online store on PostgreSQL, for the loop: COPY and a guarded merge, one prepared statement to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from everloop.adapters.database import connect, place
from everloop.adapters.features.stores.arrow import online_schema
from everloop.adapters.features.stores.chunks import chunks
from everloop.adapters.features.stores.judged import Found
from everloop.adapters.features.stores.sql import (
    MATERIALIZING,
    NEWEST,
    NEWEST_READ,
    POSTGRES_TYPES,
    SESSION,
    create_table,
    merge_from,
    note_newest,
    online_columns,
    upsert_from,
)
from everloop.errors import SourceError
from everloop.release import ViewPlan

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg_pool import ConnectionPool

    from everloop.adapters.features.stores.contract import Origin, PlannedRead, Row

CHUNK = 100_000
"""Rows in one transaction: bounds memory and the time that locks are held."""


class PostgresStore:
    """`OnlineStore` in the schema `online` of a database."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def prepare(self, views: Iterable[ViewPlan]) -> None:
        """See `OnlineStore.prepare`: makes the views' tables, or the columns that they lack."""
        with connect(self._uri) as connection:
            for view in views:
                for statement in create_table(view):
                    connection.execute(statement)

    def write(self, view: ViewPlan, batches: Iterable[pa.Table], origin: Origin | None = None) -> int:
        """See `OnlineStore.write`. A chunk, and the note of how far it came, is one transaction."""
        changed = 0
        with connect(self._uri, autocommit=True) as connection:
            for done, chunk in chunks(batches, CHUNK, _landed(connection, origin)):
                with connection.transaction():
                    changed += _write_chunk(connection, view, chunk)
                    if origin:
                        connection.execute(_NOTE, (origin.name, origin.version, done))
            if origin:
                connection.execute(f"DELETE FROM {MATERIALIZING} WHERE origin = %s", (origin.name,))
        return changed

    def read(self, read: PlannedRead, rows: Sequence[Row], as_of: Sequence[datetime]) -> list[Found]:
        """See `OnlineStore.read`."""
        statement = read.formatted
        with self._answering(), self._pool.connection() as connection:
            records = connection.execute(statement.sql, statement.parameters(rows), prepare=True).fetchall()
        return read.judges.judged([statement.split(record) for record in records], as_of)

    def newest(self, views: Iterable[ViewPlan]) -> dict[str, datetime]:
        """See `OnlineStore.newest`."""
        names = {view.table: view.name for view in views}
        with self._answering(), self._pool.connection() as connection:
            found = connection.execute(NEWEST_READ.format("%s"), (list(names),)).fetchall()
        return {names[table]: moment for table, moment in found}

    def drop(self, views: Iterable[ViewPlan]) -> None:
        """See `OnlineStore.drop`."""
        with connect(self._uri) as connection:
            for view in views:
                connection.execute(f"DROP TABLE IF EXISTS {view.table}")
                connection.execute(f"DELETE FROM {NEWEST} WHERE view = %s", (view.table,))

    def close(self) -> None:
        """See `OnlineStore.close`."""
        if "_pool" in vars(self):
            self._pool.close()

    @cached_property
    def _pool(self) -> ConnectionPool[Any]:
        from psycopg_pool import ConnectionPool

        options = " ".join(f"-c {name}={value}" for name, value in {**SESSION, "timezone": "UTC"}.items())
        return ConnectionPool(self._uri, kwargs={"options": options, "autocommit": True}, min_size=0, max_size=8, open=True)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        import psycopg
        from psycopg_pool import PoolTimeout

        try:
            yield
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise SourceError(
                f"The online store at {place(self._uri)} does not answer: {error}: start it, or correct EVERLOOP_ONLINE"
            ) from error


_NOTE = f"""INSERT INTO {MATERIALIZING} AS m (origin, version, done) VALUES (%s, %s, %s)
ON CONFLICT (origin) DO UPDATE SET version = excluded.version, done = excluded.done"""


def _landed(connection: Any, origin: Origin | None) -> int:
    """How many rows of the origin an earlier call has landed."""
    if origin is None:
        return 0
    statement = f"SELECT done FROM {MATERIALIZING} WHERE origin = %s AND version = %s"
    row = connection.execute(statement, (origin.name, origin.version)).fetchone()
    return int(row[0]) if row else 0


def _write_chunk(connection: Any, view: ViewPlan, rows: pa.Table) -> int:
    """How many rows of the view's table have changed."""
    columns = ", ".join(f'"{name}" {POSTGRES_TYPES[kind]}' for name, kind in online_columns(view).items())
    connection.execute(f"CREATE TEMP TABLE offered ({columns}) ON COMMIT DROP")
    with connection.cursor() as cursor, cursor.copy("COPY offered FROM STDIN (FORMAT binary)") as copy:
        for part in _encoded(rows, online_schema(view)):
            copy.write(part)
    changed = _land(connection, view)
    connection.execute(note_newest(view, "offered"))
    return changed


def _encoded(rows: pa.Table, schema: pa.Schema) -> Iterator[bytes]:
    """The rows as PostgreSQL's COPY takes them, in its binary form."""
    from pgpq import ArrowToPostgresBinaryEncoder

    encoder = ArrowToPostgresBinaryEncoder(schema)
    yield encoder.write_header()
    for batch in rows.select(schema.names).cast(schema).to_batches():
        yield encoder.write_batch(batch)
    yield encoder.finish()


def _land(connection: Any, view: ViewPlan) -> int:
    """Take `offered` into the view's table. Another writer may bring the same keys meanwhile: then by the upsert, which waits."""
    import psycopg

    try:
        with connection.transaction():
            return int(connection.execute(merge_from(view, "offered")).rowcount)
    except (psycopg.errors.UniqueViolation, psycopg.errors.DeadlockDetected):
        return int(connection.execute(upsert_from(view, "offered")).fetchone()[0])
