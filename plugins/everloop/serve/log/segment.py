"""The prediction log of one process: append-only segments of frames, written before the client has its answer.

One `os.write` hands a frame to the kernel: it survives `kill -9`. `sync` says up to where it survives a power loss too.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".seg"
ROTATE_BYTES = 64_000_000


class Lost(NamedTuple):
    """Positions `after` to `through`, of which nobody knows whether they reached the disk, and what the disk said."""

    after: int
    through: int
    error: OSError


class PredictionLog:
    """Writes segments in `folder`. A live segment is locked by its process, so that any shipper can tell it from an orphan.

    Positions count the bytes appended since the log was opened, over all its segments. Segments of one log have names in the
    order in which they were begun. A full segment stays locked until the next `sync`, which is the last that it needs.
    """

    def __init__(self, folder: Path, fdatasync: Callable[[int], None] = os.fdatasync, rotate_bytes: int = ROTATE_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.position = self.synced = 0
        self._fdatasync = fdatasync
        self._rotate_bytes = rotate_bytes
        self._lock, self._syncing = threading.Lock(), threading.Lock()
        self._name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._begun = self._size = 0
        self._unusable = self._named = False
        self._full: list[int] = []
        self._lost: list[Lost] = []
        self._open()

    @property
    def size(self) -> int:
        """Bytes of the segment that is being written."""
        return self._size

    def append(self, frame: bytes) -> int:
        """Write all of `frame` or, when the disk refuses, nothing; then `OSError` tells. Returns the position after it."""
        with self._lock:
            if self._size > self._rotate_bytes or self._unusable:
                self._rotate()
            if (written := os.write(self._file, frame)) != len(frame):
                self._undo()
                raise OSError(f"{self.path}: only {written} of {len(frame)} bytes could be written: free some disk space")
            self._size += written
            self.position += written
            return self.position

    def sync(self) -> int:
        """Wait until what was appended is on the disk itself; returns up to which position.

        When the disk fails, `OSError`: the segment is left, since the kernel may have dropped what it could not write and a
        second fdatasync would succeed without it (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC
        2020; https://wiki.postgresql.org/wiki/Fsync_Errors). `check` then names the positions in doubt.
        """
        with self._syncing:
            with self._lock:
                full, file, through, new = self._full, os.dup(self._file), self.position, not self._named
                self._full, self._named = [], True
            try:
                if new:
                    self._sync_folder()
                for one in (*full, file):
                    self._fdatasync(one)
            except OSError as error:
                self._doubt(error)
                raise
            finally:
                for one in (*full, file):
                    os.close(one)
            self.synced = max(self.synced, through)
            return through

    def check(self, position: int) -> None:
        """Raise the disk's `OSError` when what ends at `position` may not have reached it, whatever later syncs said."""
        for after, through, error in self._lost:
            if after < position <= through:
                raise error.with_traceback(None)

    def close(self) -> None:
        """Give the segments up: from now on any shipper may finish and delete them."""
        for file in (*self._full, self._file):
            os.close(file)

    def _undo(self) -> None:
        """Take back half a frame. What cannot be taken back stays the torn end of a segment that is left."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self._unusable = True

    def _doubt(self, error: OSError) -> None:
        with self._lock:
            self._lost.append(Lost(self.synced, self.position, error))
            self.synced = self.position
            self._unusable = True
            with suppress(OSError):
                # If no new one can be begun now, the next append tries again, and tells.
                self._rotate()

    def _rotate(self) -> None:
        before, unusable = self._file, self._unusable
        self._open()
        if unusable:
            os.close(before)
        else:
            self._full.append(before)

    def _open(self) -> None:
        name = f"{self._name}-{self._begun:06d}"
        new = self.folder / f"{name}.new"
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._begun += 1
        fcntl.flock(file, fcntl.LOCK_EX)
        # Named a segment only once it is locked: else a shipper could take it for an orphan and delete it.
        self.path = new.rename(self.folder / f"{name}{SUFFIX}")
        self._file, self._size = file, 0
        self._unusable = self._named = False

    def _sync_folder(self) -> None:
        """A new file's name is on the disk only when its folder is."""
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
