"""The prediction log of one process: an append-only file of JSON lines, written before the client has its answer.

One `os.write` hands the lines to the kernel: they survive `kill -9`. `sync` bounds what a power loss may take.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

SUFFIX = ".jsonl"

_ROTATE_BYTES = 64_000_000
_ENCODER = msgspec.json.Encoder()


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One answered (or failed) row: the columns of table `prediction`, in their order."""

    use_case: str
    request_id: str
    row_number: int
    key: str
    entity: str
    at: datetime
    as_of: datetime
    arm: str
    rollout: str | None
    release: str
    score: float | None
    decision: bool | None
    shadow_release: str | None
    shadow_score: float | None
    features: dict[str, Any]
    flags: list[str]
    error: str | None
    latency_ms: float


class PredictionLog:
    """Writes segments in `folder`. A live segment is locked by its process, so that any shipper can tell it from an orphan."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = threading.Lock()
        self._open()

    def append(self, records: Sequence[Record]) -> None:
        """Write all of `records` or, when the disk refuses, none; then `OSError` tells."""
        lines = b"".join(_ENCODER.encode(record) + b"\n" for record in records)
        with self._lock:
            if self._size > _ROTATE_BYTES:
                os.close(self._file)
                self._open()
            if (written := os.write(self._file, lines)) != len(lines):
                os.ftruncate(self._file, self._size)
                raise OSError(f"{self.path}: only {written} of {len(lines)} bytes could be written: free some disk space")
            self._size += written

    def sync(self) -> None:
        """Wait until what was written is on the disk itself."""
        with self._lock:
            file = os.dup(self._file)
        try:
            os.fdatasync(file)
        finally:
            os.close(file)

    def close(self) -> None:
        """Give the segment up: from now on any shipper may finish and delete it."""
        os.close(self._file)

    def _open(self) -> None:
        name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.path = self.folder / f"{name}{SUFFIX}"
        new = self.folder / f"{name}.new"
        self._file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        # Named a segment only once it is locked: else a shipper could take it for an orphan and delete it.
        new.rename(self.path)
        self._size = 0
