"""What `everloop up`, `down`, `status` and `logs` do, apart from printing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from everloop.errors import StackError
from everloop.settings import PROJECT
from everloop.stack import processes
from everloop.stack.environment import read_env
from everloop.stack.home import PREFERRED_PORTS, Home, is_held, make_home, postgres_folder, read_json
from everloop.stack.standing import read_board
from everloop.stack.supervisor import end_leftovers

LONGEST_START_SECONDS = 600.0
LONGEST_STOP_SECONDS = 120.0
_DONE = ("ready", "done")

Say = Callable[[str], None]


def home_of(environ: Mapping[str, str]) -> Home:
    """The home that the environment names: EVERLOOP_HOME, else `.everloop` in the checkout."""
    return Home(Path(environ.get("EVERLOOP_HOME", PROJECT / ".everloop")).absolute())


def up(path: Path, say: Say) -> bool:
    """Start the stack in the background and wait until all of it is ready; `False` when it ran already.

    `StackError`, with the failing part's last words, when it does not become ready; nothing is left running then.
    """
    home = make_home(path)
    if is_held(home) and read_board(home).get("state") not in ("stopping", "failed"):
        _await_ready(home, None, say)
        return False
    _await_end(home)
    _await_ready(home, _launch(home), say)
    for moved in moved_ports(home):
        say(f"  {moved}")
    return True


def moved_ports(home: Home) -> list[str]:
    """Which parts have another port than the usual one, since somebody else had that; one sentence each."""
    ports = read_json(home.remembered).get("ports", {})
    return [
        f"{name} listens on port {port}: the usual one, {PREFERRED_PORTS[name]}, was taken"
        for name, port in ports.items()
        if port != PREFERRED_PORTS[name]
    ]


def _launch(home: Home) -> subprocess.Popen[bytes]:
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    plugins = str(PROJECT / "plugins")
    with home.log("supervisor").open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "everloop.stack.run", str(home.path)],
            env={**environ, "PYTHONPATH": plugins},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=home.path,
            start_new_session=True,
        )


def _await_ready(home: Home, launched: subprocess.Popen[bytes] | None, say: Say) -> None:
    deadline = time.monotonic() + LONGEST_START_SECONDS
    told: set[str] = set()
    while time.monotonic() < deadline:
        gone = launched.poll() is not None if launched else not is_held(home)
        board = read_board(home)
        if launched is None or board.get("supervisor", {}).get("pid") == launched.pid:
            _tell_news(board, told, say)
            if board["state"] == "ready":
                return
            if board["state"] == "failed":
                _await_end(home)
                raise StackError(f"The stack did not start: {board['reason']}\n{_last_words(home, board)}")
        if gone:
            raise StackError(f"The supervisor ended; the end of {home.log('supervisor')}:\n{tail(home.log('supervisor'), 15)}")
        time.sleep(0.1)
    raise StackError(f"Not ready after {LONGEST_START_SECONDS:g} s: see `everloop status` and `everloop logs supervisor`")


def _tell_news(board: Mapping[str, Any], told: set[str], say: Say) -> None:
    for name, part in board["parts"].items():
        if part["state"] in _DONE and name not in told:
            told.add(name)
            say(f"  {name:<15} {part['state']:<6} {part['seconds']:5.1f} s")


def _last_words(home: Home, board: Mapping[str, Any]) -> str:
    """The end of the log of the part that the supervisor gave up on."""
    name = str(board["reason"]).partition(" ")[0]
    path = home.log(name) if home.log(name).exists() else home.log("supervisor")
    return f"the end of {path}:\n{tail(path, 15)}"


def down(path: Path, say: Say) -> bool:
    """Stop the stack, and what a killed supervisor left; `False` when nothing ran."""
    home = Home(path.absolute())
    board = read_board(home)
    if is_held(home):
        os.kill(board["supervisor"]["pid"], signal.SIGTERM)
        _await_end(home)
        return True
    left = end_leftovers(board)
    if left:
        say(f"The supervisor was gone; ended what it had left: {', '.join(left)}")
    return bool(left)


def forget(path: Path) -> None:
    """Delete the state of a stack that is down, for good."""
    home = Home(path.absolute())
    if is_held(home):
        raise StackError(f"The stack of {home.path} is up: stop it first, by `everloop down`")
    for folder in (postgres_folder(home), home.path):
        if folder.exists():
            shutil.rmtree(folder)


def _await_end(home: Home) -> None:
    """Wait until the supervisor has let go of the lock and is gone."""
    supervisor = read_board(home).get("supervisor")
    deadline = time.monotonic() + LONGEST_STOP_SECONDS
    while is_held(home) or (supervisor and processes.is_left(supervisor)):
        if time.monotonic() > deadline:
            pid = supervisor["pid"] if supervisor else "unknown"
            raise StackError(f"The supervisor (process {pid}) has not stopped within {LONGEST_STOP_SECONDS:g} s: see its log")
        time.sleep(0.1)


def status(path: Path) -> dict[str, Any]:
    """The board, with `memory` in bytes for each running part; state `down` when there is no supervisor."""
    home = Home(path.absolute())
    board = read_board(home)
    if not is_held(home):
        return {**board, "state": "down", "parts": {}}
    for part in board.get("parts", {}).values():
        part["memory"] = processes.memory(part["process"]["pid"]) if part["process"] else None
    return board


def addresses(path: Path) -> dict[str, str]:
    """Where people find the parts: names to addresses, the log-in among them."""
    variables = read_env(Home(path.absolute()).env_file)
    return {
        "Airflow": variables["EVERLOOP_AIRFLOW"],
        "log-in": f"{variables['EVERLOOP_AIRFLOW_USER']} / {variables['EVERLOOP_AIRFLOW_PASSWORD']}",
        "MLflow": variables["EVERLOOP_MLFLOW"],
        "scoring service": f"{variables['EVERLOOP_SCORER']}/docs",
        "state folder": variables["EVERLOOP_HOME"],
        "variables": str(Home(path.absolute()).env_file),
    }


def tail(path: Path, lines: int) -> str:
    """The last lines of a file."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 500 * lines))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def follow(path: Path) -> Iterator[str]:
    """What is appended to a file from now on, for ever; goes on when the file is cut."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        while True:
            if path.stat().st_size < file.tell():
                file.seek(0)
            piece = file.read()
            if piece:
                yield piece.decode(errors="replace")
            else:
                time.sleep(0.3)


def logs(path: Path, part: str | None) -> Path:
    """The log of `part` (the supervisor's by default); `StackError` names the parts that have one."""
    home = Home(path.absolute())
    wanted = home.log(part or "supervisor")
    if not wanted.exists():
        raise StackError(f"No log of {part or 'supervisor'} in {home.path}/logs: there are {', '.join(home.logs()) or 'none'}")
    return wanted
