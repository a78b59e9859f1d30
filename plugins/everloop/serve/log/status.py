"""How shipping goes, as the shipper's process writes it beside the segments, and the scoring service reads it."""

from __future__ import annotations

import contextlib
import os
import uuid
from datetime import datetime
from pathlib import Path

import msgspec

STATUS = "shipper.json"


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


def write_status(folder: Path, status: Status) -> None:
    """Replace what stands there, so that a reader never sees half of it."""
    new = folder / f"{STATUS}.{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        new.write_bytes(msgspec.json.encode(status))
        new.replace(folder / STATUS)
    finally:
        new.unlink(missing_ok=True)


def read_status(folder: Path) -> Status | None:
    """What the shipper of this folder said last; `None` when none has begun yet, or its words cannot be read."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((folder / STATUS).read_bytes(), type=Status)
    return None
