"""Sessions of processes: each part runs in one of its own, so that it can be ended with all that it started."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psutil


def members(session: int) -> list[int]:
    """The living processes of a session (the number of its first process), dead ones that nobody has waited for left out."""
    found = []
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


def end(session: int, first: signal.Signals = signal.SIGTERM, patience: float = 20.0) -> None:
    """Ask the session's first process to end; after `patience` seconds, or when it has gone, kill what is left."""
    with suppress(ProcessLookupError):
        os.kill(session, first)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and session in members(session):
        time.sleep(0.1)
    kill(session)


def kill(session: int) -> None:
    """Kill every process of a session, and wait until they are gone (5 s at most)."""
    deadline = time.monotonic() + 5
    while (left := members(session)) and time.monotonic() < deadline:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def children() -> set[psutil.Process]:
    """Whatever this process has started, and what that has started, as long as it lives."""
    return set(psutil.Process().children(recursive=True))


def kill_children(known: set[psutil.Process]) -> None:
    """Kill what this process started and has not ended, but for what is `known`: that is somebody else's."""
    for process in children() - known:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def memory(leader: int) -> int:
    """Bytes that a process and all it started use, shared pages counted once (proportional set size), else resident size."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        first = psutil.Process(leader)
        for process in [first, *first.children(recursive=True)]:
            with suppress(psutil.Error):
                total += getattr(process.memory_full_info(), "pss", process.memory_info().rss)
    return total


def identity(pid: int) -> dict[str, Any]:
    """What tells a process from a later one with the same number."""
    return {"pid": pid, "created": _created(pid), "boot": psutil.boot_time()}


def is_left(known: Mapping[str, Any]) -> bool:
    """Whether the session that began with the process of this `identity` still has members.

    A number is not given again while a session bears it; so if a younger process has the number, the session is gone.
    """
    if abs(known["boot"] - psutil.boot_time()) > 60:  # the estimate moves a little when the clock is set
        return False
    created = _created(known["pid"])
    if created is not None and abs(created - known["created"]) > 1:
        return False
    return bool(members(known["pid"]))


def _created(pid: int) -> float | None:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None
