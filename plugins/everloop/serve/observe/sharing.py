"""Metrics of several worker processes of one machine: files that each writes to, and any of them adds up for /metrics.

prometheus_client's multiprocess mode, by the number of a worker instead of its process id: a worker that comes back goes on with
the file of the one before it, so counters never fall and dead processes leave no files behind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import values
from prometheus_client.multiprocess import mark_process_dead

FOLDER, WORKER = "PROMETHEUS_MULTIPROC_DIR", "EVERLOOP_WORKER"
"""Variables by which the fleet tells a worker where the files are, and which of the workers it is."""


class Shared:
    """The folder, as the fleet sees it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self) -> None:
        """Start anew: what is there comes from processes that are gone."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for file in (*self._folder.glob("*.db"), *self._folder.glob("*.pid")):
            file.unlink()

    def variables(self, worker: int) -> dict[str, str]:
        """What a worker has to be told."""
        return {FOLDER: str(self._folder), WORKER: str(worker)}

    def ended(self, worker: int) -> None:
        """A worker is gone: what it said of its present state holds no longer, what it counted does."""
        mark_process_dead(str(worker), str(self._folder))
        (self._folder / f"{worker}.pid").unlink(missing_ok=True)


def joined(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder, once this process takes part; `None` without a fleet. To be called before any metric is made.

    Without a fleet, numbers stay in memory, whoever else set prometheus_client's variable: Feast does as it is imported.
    """
    folder, worker = environ.get(FOLDER), environ.get(WORKER)
    if not folder or worker is None:
        values.ValueClass = values.MutexValue
        return None
    values.ValueClass = values.MultiProcessValue(lambda: worker)
    (Path(folder) / f"{worker}.pid").write_text(str(os.getpid()))
    return Path(folder)


def workers(folder: Path | None) -> dict[str, int]:
    """Process ids by the number of the worker: of this machine's, or of this process alone."""
    if folder is None:
        return {"0": os.getpid()}
    return {file.stem: int(text) for file in sorted(folder.glob("*.pid")) if (text := _text(file)).isdigit()}


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # that worker has just ended
        return ""
