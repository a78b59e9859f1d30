"""How shipping goes, as the shippers of a folder write it beside the segments, each its own, and the scoring service reads it."""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

HEARTBEAT = timedelta(seconds=10)
"""A status older than twice this comes from a shipper that is gone."""

_KEPT = timedelta(days=1)
"""How long the words of a machine that is gone lie there."""

_FILES = "shipper.*.json"


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """`at`: when this was written. `problem`: why the log waits on disk, if it does. `oldest_unshipped_at`: the answer's time.

    `shipped_rows` and `set_aside` count since that shipper began; the latter is what PostgreSQL cannot hold, and damage.
    """

    at: datetime
    problem: str | None
    unshipped_bytes: int
    oldest_unshipped_at: datetime | None
    shipped_rows: int
    set_aside: int


def status_file(folder: Path) -> Path:
    """Where this machine's shipper says how it goes; several machines may share a folder."""
    return folder / f"shipper.{socket.gethostname()}.json"


def write_status(folder: Path, status: Status) -> None:
    """Replace what this machine's shipper said, so that a reader never sees half of it."""
    file = status_file(folder)
    new = file.with_name(f"{file.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        new.write_bytes(msgspec.json.encode(status))
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


def read_status(folder: Path) -> Status | None:
    """What the living shippers of this folder said last, taken together; of none that lives, the last one's words.

    `None` when none has begun yet, or their words cannot be read.
    """
    told = [status for _, status in _told(folder)]
    if not told:
        return None
    newest = max(status.at for status in told)
    living = [status for status in told if newest - status.at <= 2 * HEARTBEAT]
    return Status(
        at=newest,
        problem=next((status.problem for status in living if status.problem is not None), None),
        # Each looks at the whole folder.
        unshipped_bytes=max(status.unshipped_bytes for status in living),
        oldest_unshipped_at=min((status.oldest_unshipped_at for status in living if status.oldest_unshipped_at), default=None),
        shipped_rows=sum(status.shipped_rows for status in living),
        set_aside=sum(status.set_aside for status in living),
    )


def clear_away(folder: Path, now: datetime) -> None:
    """Delete what machines said that are long gone: each container has a name of its own."""
    for file, status in list(_told(folder)):
        if now - status.at > _KEPT:
            file.unlink(missing_ok=True)


def _told(folder: Path) -> Iterator[tuple[Path, Status]]:
    for file in folder.glob(_FILES):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            yield file, msgspec.json.decode(file.read_bytes(), type=Status)
