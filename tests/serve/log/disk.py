"""A disk whose fdatasyncs are counted, and fail on demand."""

from __future__ import annotations

import errno
import os


class Disk:
    """Counts fdatasyncs, and fails the next ones when it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.failures = 0

    def __call__(self, file: int) -> None:
        self.calls += 1
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EIO, "Input/output error")
        os.fdatasync(file)
