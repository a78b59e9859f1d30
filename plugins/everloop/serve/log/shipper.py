"""Brings the segments of the prediction log into table `prediction`, every row exactly once, also after a crash."""

from __future__ import annotations

from datetime import UTC, date
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from everloop.adapters.database import connect
from everloop.serve.log.aside import set_aside
from everloop.serve.log.copying import cast_shadows, copy_rows, make_partitions, note_late
from everloop.serve.log.decoding import Shipment, shipment
from everloop.serve.log.reading import Piece, is_orphan, read, writer
from everloop.serve.log.segment import SUFFIX

_DAMAGED = "damaged: no frame begins here whose length and CRC hold; what follows was shipped"
_TORN = "cut off: the last frame of its segment is not whole, as when its writer is killed in the middle of it, before it answers"
_MOVE = "UPDATE log_segment SET position = %s WHERE segment = %s AND position = %s"


class Backlog(NamedTuple):
    """A segment of `size` bytes that was shipped up to `position`."""

    path: Path
    position: int
    size: int


class Shipper:
    """Ships all segments of a folder. The position reached is committed together with the rows it stands for.

    Several shippers may work on one folder: each moves a position on only from where it read. The segments of one writer go
    in order, since a shadow may lie in the segment after its row's. `shipped` and `aside` count since this shipper was made.
    """

    def __init__(self, folder: Path, uri: str) -> None:
        self.shipped = self.aside = 0
        self._folder = folder
        self._uri = uri
        self._reached: dict[str, int] = {}
        self._connection: psycopg.Connection[Any] | None = None

    def ship(self) -> int:
        """Bring over what is there now; the number of rows. Raises `SourceError` or a driver's error when PostgreSQL is away."""
        before = self.shipped
        try:
            self._round()
        except BaseException:
            self.close()
            raise
        return self.shipped - before

    def close(self) -> None:
        """Close the connection, which otherwise stays for the next round."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def backlog(self) -> list[Backlog]:
        """The segments that hold something unshipped, as far as this shipper knows."""
        found = [Backlog(path, self._reached.get(path.name, 0), _size(path)) for path in self._segments()]
        return [one for one in found if one.size > one.position]

    def _round(self) -> None:
        waiting: set[str] = set()
        for path in self._segments():
            if writer(path) in waiting:
                continue
            if self._has_work(path):
                self._segment(self._connected(), path)
            if path.exists():
                waiting.add(writer(path))

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{SUFFIX}"))

    def _has_work(self, path: Path) -> bool:
        """Whether a segment grew since it was last shipped, or waits to be deleted. Saves a connection when all is quiet."""
        return _size(path) > self._reached.get(path.name, 0) or is_orphan(path)

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            self._connection = connect(self._uri, autocommit=True)
        return self._connection

    def _segment(self, connection: psycopg.Connection[Any], path: Path) -> None:
        # Asked before reading: what its process wrote before it let go of the lock is then all there.
        orphan = is_orphan(path)
        connection.execute("INSERT INTO log_segment VALUES (%s, 0) ON CONFLICT DO NOTHING", (path.name,))
        while self._next(connection, path, orphan):
            pass
        if orphan:
            # The file first: if the row went first and we died, the file would be shipped a second time.
            path.unlink(missing_ok=True)
            self._reached.pop(path.name, None)
            connection.execute("DELETE FROM log_segment WHERE segment = %s", (path.name,))

    def _next(self, connection: psycopg.Connection[Any], path: Path, orphan: bool) -> bool:
        """Ship what comes next, in one transaction; false when nothing does."""
        found = connection.execute("SELECT position FROM log_segment WHERE segment = %s", (path.name,)).fetchone()
        position = found[0] if found else 0
        self._reached[path.name] = position
        piece = read(path, position, finished=orphan) if found else None
        if piece is None:
            return False
        made = shipment(piece.frames)
        make_partitions(connection, {day for _, day in made.days})
        with connection.transaction():
            # Waits for a shipper that is at the same place, and then finds the position moved.
            if connection.execute(_MOVE, (piece.end, path.name, position)).rowcount:
                shipped, refused = self._store(connection, path, position, piece, made)
            else:
                shipped = refused = 0
        self.shipped += shipped
        self.aside += refused
        return True

    def _store(
        self, connection: psycopg.Connection[Any], path: Path, position: int, piece: Piece, made: Shipment
    ) -> tuple[int, int]:
        refused = 0

        def refuse(content: bytes, reason: str) -> None:
            nonlocal refused
            refused += 1
            set_aside(self._folder, path.name, position, content, reason)

        if piece.damage:
            refuse(piece.damage.content, _TORN if piece.damage.torn else _DAMAGED)
        for one in made.unshippable:
            refuse(one.content, one.reason)
        shipped = copy_rows(connection, made.text, refuse)
        cast_shadows(connection, made.shadows, refuse)
        note_late(connection, made.days | _shadowed(made))
        return shipped, refused


def _shadowed(made: Shipment) -> set[tuple[str, date]]:
    """The days of the shadows whose rows were shipped before."""
    return {(one.use_case, one.at.astimezone(UTC).date()) for one in made.shadows.values()}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
