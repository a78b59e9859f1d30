"""The processes of our service by what they do, and what each takes of the machine."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping

import psutil

WORKER, SHIPPER, PARENT = "worker", "shipper", "parent"
_MODULES = {"everloop.serve.worker": WORKER, "everloop.serve.log": SHIPPER}


def role(process: psutil.Process) -> str | None:
    """What a process of the service does; `None` when it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        words = process.cmdline()
        return next((_MODULES[word] for word in words if word in _MODULES), PARENT) if words else None
    return None


def of(service: subprocess.Popen[bytes], wanted: str) -> list[psutil.Process]:
    """The processes of a role, the eldest first."""
    found = [one for one in _family(service) if role(one) == wanted]
    return sorted(found, key=lambda one: one.create_time())


def cpu_seconds(service: subprocess.Popen[bytes]) -> Mapping[str, float]:
    """CPU seconds by role, of the processes that live now."""
    taken = dict.fromkeys((WORKER, SHIPPER, PARENT), 0.0)
    for one in _family(service):
        with contextlib.suppress(psutil.NoSuchProcess):
            if (what := role(one)) is not None:
                times = one.cpu_times()
                taken[what] += times.user + times.system
    return taken


def resident_mb(process: psutil.Process) -> float | None:
    """Memory in MB, shared pages in full: a share of them rises whenever another user dies; `None` when the process is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return float(process.memory_info().rss) / 2**20
    return None


def _family(service: subprocess.Popen[bytes]) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(service.pid)
        return [parent, *parent.children(recursive=True)]
    return []
