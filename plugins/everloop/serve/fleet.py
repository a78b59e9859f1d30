"""The processes of one machine's scoring service: workers that answer, and a shipper of their log. What dies comes back."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from everloop.serve.observe.sharing import Shared

LIFELINE = "EVERLOOP_LIFELINE"
"""The number of a pipe's end that the parent holds open as long as it lives."""

_PAUSE_SECONDS = 1.0
"""From one start of a process to the next: one that cannot start must not take the machine with it."""

_LOOK_SECONDS = 0.05
_WORKER_SECONDS, _SHIPPER_SECONDS = 15.0, 20.0
_LOG = logging.getLogger("everloop.serve.fleet")


def answering_command(host: str, port: int) -> list[str]:
    """The command line of a worker."""
    return [sys.executable, "-m", "everloop.serve.worker", host, str(port)]


def shipping_command() -> list[str]:
    """The command line of the shipper."""
    return [sys.executable, "-m", "everloop.serve.log"]


def end_with_parent() -> None:
    """In a child: stop, as at SIGTERM, when the parent is gone, however it went."""
    if lifeline := os.environ.get(LIFELINE):
        threading.Thread(target=_watch, args=(int(lifeline),), name="lifeline", daemon=True).start()


def _watch(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass
class _Child:
    """A process that is started again whenever it ends."""

    command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    ended: Callable[[], None] = lambda: None
    process: subprocess.Popen[bytes] | None = None
    started: float = field(default=-_PAUSE_SECONDS)


class Fleet:
    """Keeps workers and a shipper alive until SIGTERM or SIGINT; then the workers finish, and the shipper ships the rest."""

    def __init__(self, workers: Sequence[Sequence[str]], shipper: Sequence[str], shared: Shared) -> None:
        """Command lines; `shared`: where the workers' metrics meet."""
        self._shared = shared
        self._workers = [
            _Child(command, shared.variables(number), partial(shared.ended, number)) for number, command in enumerate(workers)
        ]
        self._shipper = _Child(shipper)
        self._lifeline, self._held = os.pipe()
        os.set_inheritable(self._lifeline, True)
        self._stop = threading.Event()

    def run(self) -> None:
        """Return when all have stopped."""
        self._shared.begin()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        while not self._stop.wait(_LOOK_SECONDS):
            for child in (self._shipper, *self._workers):
                self._keep(child)
        _end(self._workers, _WORKER_SECONDS)
        _end([self._shipper], _SHIPPER_SECONDS)

    def _keep(self, child: _Child) -> None:
        if child.process is not None and (status := child.process.poll()) is not None:
            _LOG.warning("%s (process %d) ended with %d", " ".join(child.command[1:]), child.process.pid, status)
            child.process = None
            child.ended()
        if child.process is None and time.monotonic() - child.started >= _PAUSE_SECONDS:
            child.started = time.monotonic()
            environment = {**os.environ, **child.variables, LIFELINE: str(self._lifeline)}
            child.process = subprocess.Popen(child.command, env=environment, pass_fds=(self._lifeline,))


def _end(children: Sequence[_Child], seconds: float) -> None:
    """Ask them to stop, wait, and kill what does not."""
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.terminate()
    until = time.monotonic() + seconds
    for process in running:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
