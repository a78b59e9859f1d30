"""What a server and all processes that it started take of the machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass

import psutil

PATIENCE_SECONDS = 10
MARK = "EVERLOOP_BENCHMARK_SERVER"
"""The variable that all processes of a server inherit: some outlive the one that started them, as Ray's HAProxy does."""


@dataclass(frozen=True)
class Usage:
    """CPU seconds since they started, ended children included; memory in MB, shared pages divided among their users (PSS)."""

    cpu_seconds: float
    memory_mb: float


def tree(mark: str) -> list[psutil.Process]:
    """All processes whose `MARK` is `mark`, and what they started: a process that renames itself may overwrite its variables."""
    found = {one for one in psutil.process_iter() if _mark(one) == mark}
    for one in list(found):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.update(one.children(recursive=True))
    return list(found)


def usage(mark: str) -> Usage:
    """What all of them have taken until now."""
    cpu, memory = 0.0, 0.0
    for one in tree(mark):
        with contextlib.suppress(psutil.Error):
            cpu += sum(one.cpu_times()[:4])
            memory += one.memory_full_info().pss / 2**20
    return Usage(cpu, memory)


def _mark(process: psutil.Process) -> str | None:
    with contextlib.suppress(psutil.Error, OSError):
        return process.environ().get(MARK)
    return None


def stop(process: subprocess.Popen[bytes], mark: str) -> None:
    """End all of them: the process group is asked to, what is left is killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE_SECONDS)
    _gone(mark, 1)
    for one in tree(mark):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()
    _gone(mark, PATIENCE_SECONDS)


def _gone(mark: str, seconds: float) -> None:
    """Wait until none is left, at most so long. Those that ended and that nobody has taken notice of do not count."""
    until = time.monotonic() + seconds
    while tree(mark) and time.monotonic() < until:
        time.sleep(0.05)
