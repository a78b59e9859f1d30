"""The supervisor: starts the parts in order, starts again what dies, stops all in reverse order, and says what it does."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from everloop.stack import processes
from everloop.stack.home import Home
from everloop.stack.parts import Job, Part, Service, below, depths
from everloop.stack.standing import open_board

TRIES_BEFORE_READY = 3
"""A part that was never ready and failed this often does not become ready by itself."""
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A part that lived this long gets the shortest pause again."""
STOP_SECONDS = 20.0
LARGEST_LOG_BYTES = 20_000_000

log = logging.getLogger("everloop.stack")


class Supervisor:
    """Keeps `parts` alive, one thread each, until told to stop."""

    def __init__(self, home: Home, parts: Sequence[Part]) -> None:
        self._home = home
        self._parts = list(parts)
        self._board = open_board(home, self._parts, os.getpid())
        self._below = below(self._parts)
        self._ready = {part.name: threading.Event() for part in parts}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._starting = threading.Lock()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask `run` to stop everything and return; safe in a signal handler."""
        self._stopping.set()

    def run(self) -> bool:
        """Start everything, keep it alive until `stop`, stop everything. `False` when it gave up by itself."""
        known = processes.children()
        threads = [threading.Thread(target=self._guard, args=(part,), name=part.name, daemon=True) for part in self._parts]
        for thread in threads:
            thread.start()
        while not self._stopping.wait(60):
            shorten_logs(self._home)
        failed = self._board.state == "failed"
        if not failed:
            self._board.declare("stopping")
        self._stop_all()
        processes.kill_children(known)  # a migration, when it is stopped while starting
        for thread in threads:
            thread.join(timeout=STOP_SECONDS)
        log.info("stopped")
        return not failed

    def _guard(self, part: Part) -> None:
        try:
            self._keep(part)
        except Exception as error:  # a thread that ends unseen would leave its part without a keeper
            log.exception("%s", part.name)
            self._give_up(part.name, f"cannot be kept: {error}")

    def _keep(self, part: Part) -> None:
        """Start `part` again and again until it is time to stop, or until it is done when it is a job."""
        failures = 0
        while self._wait_for(self._below[part.name]):
            started = time.monotonic()
            ended = self._do(part) if isinstance(part, Job) else self._live(part)
            if ended is None or self._stopping.is_set():
                return
            lived = time.monotonic() - started
            was_ready = self._board.parts[part.name].seconds is not None
            failures = 1 if was_ready and lived > STEADY_SECONDS else failures + 1
            if not was_ready and failures >= TRIES_BEFORE_READY:
                self._give_up(part.name, f"{ended}, {failures} times in a row")
                return
            pause = min(LONGEST_PAUSE_SECONDS, 0.25 * 2**failures)
            log.warning("%s %s after %.1f s; again in %.1f s", part.name, ended, lived, pause)
            self._board.note(part.name, state="again", process=None, restarts=self._board.parts[part.name].restarts + 1)
            self._stopping.wait(pause)

    def _wait_for(self, names: set[str]) -> bool:
        """Wait until all of `names` are ready; `False` when it is time to stop."""
        while not self._stopping.is_set():
            if all(self._ready[name].is_set() for name in names):
                return True
            self._stopping.wait(0.05)
        return False

    def _do(self, job: Job) -> str | None:
        """Run a job; why it failed, or `None`."""
        self._board.note(job.name, state="starting")
        started = time.monotonic()
        try:
            job.run()
        except Exception as error:  # whatever it is, it is told and tried again
            log.exception("%s", job.name)
            return f"failed: {error}"
        self._became_ready(job.name, "done", time.monotonic() - started)
        return None

    def _live(self, service: Service) -> str | None:
        """Run a service until it ends; how it ended."""
        started, clock = datetime.now(UTC), time.monotonic()
        try:
            process = self._start(service)
        except Exception as error:
            log.exception("%s", service.name)
            return f"could not start: {error}"
        if process is None:
            return None
        while process.poll() is None and not self._stopping.is_set():
            if service.is_ready(started):
                self._became_ready(service.name, "ready", time.monotonic() - clock)
                process.wait()
            elif time.monotonic() - clock > service.patience:
                processes.end(process.pid, service.stop_signal, service.stop_seconds)
                return f"was not ready within {service.patience:g} s"
            else:
                self._stopping.wait(0.1)
        self._ready[service.name].clear()
        if not self._stopping.is_set():
            processes.kill(process.pid)  # what a dead part started must not outlive it
        return f"ended ({process.wait()})"

    def _start(self, service: Service) -> subprocess.Popen[bytes] | None:
        """Start the process in a session of its own; `None` when it is time to stop."""
        self._board.note(service.name, state="starting")
        if service.prepare:
            service.prepare()
        with self._starting, self._home.log(service.name).open("ab") as out:
            if self._stopping.is_set():
                return None
            process = subprocess.Popen(
                service.command,
                env=dict(service.environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                **{"cwd": self._home.path, **service.popen},
            )
            self._running[service.name] = process
        self._board.note(service.name, process=processes.identity(process.pid))
        return process

    def _became_ready(self, name: str, state: str, seconds: float) -> None:
        first = self._board.parts[name].seconds is None
        self._board.note(name, state=state, **({"seconds": round(seconds, 2)} if first else {}))
        self._ready[name].set()
        log.info("%s %s after %.1f s", name, state, seconds)

    def _give_up(self, name: str, reason: str) -> None:
        told = f"{name} {reason}: see `everloop logs {name}`"
        log.error("%s", told)
        self._board.declare("failed", told)
        self._stopping.set()

    def _stop_all(self) -> None:
        """Stop the services, those first on which no other stands."""
        with self._starting:
            running = dict(self._running)
        depth = depths(self._parts)
        for level in sorted({depth[name] for name in running}, reverse=True):
            level_services = [p for p in self._parts if isinstance(p, Service) and p.name in running and depth[p.name] == level]
            stops = [threading.Thread(target=self._stop, args=(service, running[service.name])) for service in level_services]
            for thread in stops:
                thread.start()
            for thread in stops:
                thread.join()

    def _stop(self, service: Service, process: subprocess.Popen[bytes]) -> None:
        started = time.monotonic()
        processes.end(process.pid, service.stop_signal, service.stop_seconds)
        log.info("%s stopped (%s) in %.1f s", service.name, process.wait(), time.monotonic() - started)
        self._board.note(service.name, state="stopped", process=None)


def shorten_logs(home: Home) -> None:
    """Cut logs that have grown too large, keeping one copy; their writers append, so cutting is safe."""
    for name in home.logs():
        path = home.log(name)
        if path.stat().st_size > LARGEST_LOG_BYTES:
            with suppress(OSError):
                shutil.copyfile(path, path.with_suffix(".log.1"))
                os.truncate(path, 0)


def end_leftovers(told: Mapping[str, object]) -> list[str]:
    """End what a killed supervisor left running, by what it `told` last; the names of those parts."""
    parts = told.get("parts")
    if not isinstance(parts, dict):
        return []
    left = [name for name, part in parts.items() if part.get("process") and processes.is_left(part["process"])]
    for name in reversed(left):
        processes.end(parts[name]["process"]["pid"], patience=STOP_SECONDS)
    return left
