"""A program that answers HTTP: started as a process group of its own, waited for, loaded, stopped."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.process import ROOT
from benchmarks.serving.load import Load, load
from benchmarks.serving.usage import MARK, stop

JSON = {"Content-Type": "application/json"}
START_SECONDS = 120
LOG_CHARACTERS = 1_000


class ServerError(RuntimeError):
    """A server does not start, answers wrongly, or fails under load: its speed would mean nothing."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """How a server is started, and where it is asked.

    `command` listens on `port` of 127.0.0.1 and takes posts at `path`. `environment`: variables besides this process's own.
    """

    name: str
    command: tuple[str, ...]
    port: int
    path: str
    environment: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)

    @property
    def mark(self) -> str:
        """What the processes of this program are known by."""
        return f"{os.getpid()}-{self.port}"

    def post(self, client: httpx.Client, body: bytes) -> httpx.Response:
        """The answer to `body`."""
        return client.post(f"http://127.0.0.1:{self.port}{self.path}", content=body, headers=dict(self.headers))


@contextlib.contextmanager
def running(program: Program, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program's process; its group is gone afterwards. What it prints goes to `log`, the end of that into a `ServerError`."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            program.command, cwd=ROOT, env=_environment(program), stdout=out, stderr=out, start_new_session=True
        )
        try:
            yield process
        except ServerError as error:
            raise ServerError(f"{error}; its log ends with: {log.read_text(errors='replace')[-LOG_CHARACTERS:]}") from error
        finally:
            stop(process, program.mark)


def first_answer(
    program: Program, process: subprocess.Popen[bytes], body: bytes, right: Callable[[httpx.Response], bool]
) -> float:
    """Ask until the answer is right: seconds from this call, so make it right after the start. Raises `ServerError`."""
    began = time.perf_counter()
    with httpx.Client(timeout=START_SECONDS) as client:
        while (waited := time.perf_counter() - began) < START_SECONDS and process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if right(program.post(client, body)):
                    return time.perf_counter() - began
            time.sleep(0.02)
    ended = "still runs" if process.poll() is None else f"ended with {process.returncode}"
    raise ServerError(f"{program.name} gave no right answer on {program.path} within {waited:.0f} s and {ended}")


def loaded(program: Program, bodies: Path, connections: int, seconds: int) -> Load:
    """Load without a single error; else `ServerError`."""
    found = load(program.port, program.path, program.headers, bodies, connections, seconds)
    if found.errors or not found.requests:
        raise ServerError(f"{program.name} failed {found.errors} of {found.requests} requests at {connections} connections")
    return found


def _environment(program: Program) -> dict[str, str]:
    """One thread a server: a single row gains nothing from a second one, and idle ones spin. Nothing of this environment's."""
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    path = os.pathsep.join([str(Path(program.command[0]).parent), own.get("PATH", "")])
    return {**own, "PATH": path, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", MARK: program.mark, **program.environment}
