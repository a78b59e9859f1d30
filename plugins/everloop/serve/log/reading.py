"""Segments as a shipper reads them: whole frames after a position, damage, and whether anybody still writes."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import NamedTuple

from everloop.serve.log.frames import Frame, Scan, Stop, resynchronise, scan

CHUNK_BYTES = 4_000_000
"""What is shipped in one transaction, unless a single frame is larger."""

_SECOND_LOOK_SECONDS = 0.05


class Damage(NamedTuple):
    """Bytes that are no frame. `torn`: the end of a segment whose writer was cut off, which nobody was answered from."""

    content: bytes
    torn: bool


class Piece(NamedTuple):
    """What follows a position of a segment: frames, or damage; and the position after it."""

    frames: list[Frame]
    damage: Damage | None
    end: int


def read(path: Path, position: int, *, finished: bool) -> Piece | None:
    """What follows `position`; `None` for nothing yet, or a frame that is not whole yet. `finished`: nobody writes any more."""
    try:
        found = _frames(path, position)
        if found is None:
            return None
        content, scanned = found
        if scanned.frames:
            return Piece(scanned.frames, None, position + scanned.end)
        damage = _damage(content, scanned.stopped, finished)
        if damage is None or (not finished and not _stands(path, position, damage)):
            return None
        return Piece([], damage, position + len(damage.content))
    except FileNotFoundError:
        return None


def is_orphan(path: Path) -> bool:
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


def writer(path: Path) -> str:
    """Whose segment it is: those of one log share it, and are named in the order in which they were begun."""
    return path.name.rpartition("-")[0]


def _frames(path: Path, position: int) -> tuple[bytes, Scan] | None:
    with path.open("rb") as segment:
        segment.seek(position)
        content = segment.read(CHUNK_BYTES)
        scanned = scan(content)
        if content and not scanned.frames:
            # The first frame is larger than a chunk, or damaged: then the next right one is looked for in all that follows.
            content += segment.read()
            scanned = scan(content)
    return (content, scanned) if content else None


def _damage(content: bytes, stopped: Stop, finished: bool) -> Damage | None:
    if (following := resynchronise(content, 1)) is not None:
        # Frames are appended one after the other, so what lies before a right one will never be whole.
        return Damage(content[:following], torn=False)
    return Damage(content, torn=stopped is Stop.TORN) if finished else None


def _stands(path: Path, position: int, damage: Damage) -> bool:
    """Whether a second look finds the same. A frame that is just taken back, and another written, can look damaged once."""
    time.sleep(_SECOND_LOOK_SECONDS)
    with path.open("rb") as segment:
        segment.seek(position)
        return segment.read(len(damage.content)) == damage.content
