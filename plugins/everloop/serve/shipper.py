"""Brings the segments of the prediction log into table `prediction`, every line exactly once, also after a crash."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psycopg

from everloop.adapters.database import connect
from everloop.serve.log import SUFFIX, Record

REJECTED = "rejected.txt"

_CHUNK_BYTES = 1_000_000
_LOG = logging.getLogger("everloop.serve.shipper")


_LINE = msgspec.defstruct("_Line", [("features", msgspec.Raw)], bases=(Record,), frozen=True, kw_only=True)
"""A record whose features stay the JSON text that they are."""

_COPY = f"COPY prediction ({', '.join(Record.__struct_fields__)}) FROM STDIN"
_DECODER = msgspec.json.Decoder(_LINE)
_BAD_LINE = (psycopg.DataError, psycopg.IntegrityError, msgspec.MsgspecError, UnicodeDecodeError)
_POSITION = "SELECT position FROM log_segment WHERE segment = %s FOR UPDATE"


class _Chunk(NamedTuple):
    """Whole lines of a segment and the byte after them."""

    lines: list[bytes]
    end: int


class Shipper:
    """Ships all segments of a folder. The position reached is committed together with the rows it stands for.

    Several shippers may work on one folder: the row of `log_segment` is locked while its segment is shipped.
    """

    def __init__(self, folder: Path, uri: str) -> None:
        self._folder = folder
        self._uri = uri
        self._reached: dict[str, int] = {}

    def ship(self) -> int:
        """Bring over what is there now; the number of rows. Raises `SourceError` or a driver's error when PostgreSQL is away."""
        segments = [path for path in sorted(self._folder.glob(f"*{SUFFIX}")) if self._has_work(path)]
        if not segments:
            return 0
        with connect(self._uri, autocommit=True) as connection:
            return sum(self._segment(connection, path) for path in segments)

    def _has_work(self, path: Path) -> bool:
        """Whether a segment grew since it was last shipped, or waits to be deleted. Saves a connection when all is quiet."""
        try:
            return path.stat().st_size > self._reached.get(path.name, 0) or _is_orphan(path)
        except FileNotFoundError:
            return False

    def _segment(self, connection: psycopg.Connection[Any], path: Path) -> int:
        shipped = 0
        # Asked before reading: what its process wrote before it let go of the lock is then all there.
        orphan = _is_orphan(path)
        connection.execute("INSERT INTO log_segment VALUES (%s, 0) ON CONFLICT DO NOTHING", (path.name,))
        while (rows := self._next(connection, path)) is not None:
            shipped += rows
        if orphan:
            # The file first: if the row went first and we died, the file would be shipped a second time.
            path.unlink(missing_ok=True)
            self._reached.pop(path.name, None)
            connection.execute("DELETE FROM log_segment WHERE segment = %s", (path.name,))
        return shipped

    def _next(self, connection: psycopg.Connection[Any], path: Path) -> int | None:
        """Ship the next lines in one transaction; `None` when there are no more."""
        with connection.transaction():
            found = connection.execute(_POSITION, (path.name,)).fetchone()
            chunk = _read(path, found[0]) if found else None
            if chunk is None:
                self._reached[path.name] = found[0] if found else 0
                return None
            try:
                with connection.transaction():
                    copied = _copy(connection, chunk.lines)
            except _BAD_LINE:
                copied = sum(self._one(connection, line) for line in chunk.lines)
            connection.execute("UPDATE log_segment SET position = %s WHERE segment = %s", (chunk.end, path.name))
        return copied

    def _one(self, connection: psycopg.Connection[Any], line: bytes) -> int:
        """Ship one line of a chunk that holds a bad one; the bad one is kept aside, since nothing is dropped silently."""
        try:
            with connection.transaction():
                return _copy(connection, [line])
        except _BAD_LINE as error:
            _LOG.error("a line of the prediction log was set aside in %s: %s", self._folder / REJECTED, error)
            with (self._folder / REJECTED).open("ab") as aside:
                aside.write(line + b"\n")
            return 0


class ShippingThread:
    """Runs a shipper now and then until it is stopped, which ships once more."""

    def __init__(self, shipper: Shipper, sync: Callable[[], None], every: float = 0.2) -> None:
        self.problem: str | None = None
        self._shipper = shipper
        self._sync = sync
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Begin shipping."""
        self._thread.start()

    def stop(self) -> None:
        """Ship what is left and end; what PostgreSQL does not take now, the next process ships."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.wait(self._every if self.problem is None else 2.0):
            self._round()
        self._round()

    def _round(self) -> None:
        try:
            self._sync()
            self._shipper.ship()
        except Exception as error:
            # Whatever it is: the lines are safe on disk, and the next round may succeed.
            if self.problem is None:
                _LOG.warning("the prediction log waits on disk: %s", error)
            self.problem = str(error)
        else:
            self.problem = None


def _copy(connection: psycopg.Connection[Any], lines: Iterable[bytes]) -> int:
    rows = [_DECODER.decode(line) for line in lines]
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for row in rows:
            copy.write_row([_plain(getattr(row, name)) for name in Record.__struct_fields__])
    return len(rows)


def _plain(value: Any) -> Any:
    return bytes(value).decode() if isinstance(value, msgspec.Raw) else value


def _read(path: Path, position: int) -> _Chunk | None:
    """Whole lines after `position`; a torn last line, left by a crash, is never read."""
    try:
        with path.open("rb") as segment:
            segment.seek(position)
            content = segment.read(_CHUNK_BYTES)
            while content and b"\n" not in content and (more := segment.read(_CHUNK_BYTES)):
                content += more
    except FileNotFoundError:
        return None
    whole = content[: content.rfind(b"\n") + 1]
    return _Chunk(whole.splitlines(), position + len(whole)) if whole else None


def _is_orphan(path: Path) -> bool:
    """Whether no process writes to this segment any more."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(file)
