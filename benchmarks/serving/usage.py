"""What a server and all processes that it started take of the machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass

import psutil

PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Usage:
    """CPU seconds since they started, ended children included; memory in MB, shared pages divided among their users (PSS)."""

    cpu_seconds: float
    memory_mb: float


def tree(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The process and all its descendants."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        return [root, *root.children(recursive=True)]
    return []


def usage(process: subprocess.Popen[bytes]) -> Usage:
    """What the whole tree has taken until now."""
    cpu, memory = 0.0, 0.0
    for one in tree(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            cpu += sum(one.cpu_times()[:4])
            memory += one.memory_full_info().pss / 2**20
    return Usage(cpu, memory)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole tree: its process group is asked to, what is left of it is killed."""
    members = tree(process)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE_SECONDS)
    _, left = psutil.wait_procs(members, timeout=1)
    for one in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(left, timeout=PATIENCE_SECONDS)
    process.wait()
