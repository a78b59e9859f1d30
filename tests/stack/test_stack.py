"""The whole stack, as people run it: up, killed in parts, down, and nothing left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
import pytest

from conftest import reachable_folder
from everloop.stack.environment import read_env
from everloop.stack.home import Home, is_held
from everloop.stack.standing import read_board
from running_stack import command

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture
def home() -> Iterator[Home]:
    with reachable_folder() as folder:
        home = Home(folder / "home")
        yield home
        command(home, "down")


def wait_for(condition: Callable[[], object], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def part(home: Home, name: str) -> dict[str, Any]:
    found: dict[str, Any] = read_board(home)["parts"][name]
    return found


def left(home: Home) -> list[str]:
    """The command lines of processes that belong to `home`: by their variables, or by the folder they work in."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("EVERLOOP_HOME") == str(home.path) or process.cwd().startswith(str(home.path)):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def test_stack_comes_up_survives_kills_and_leaves_nothing(shared_home: Home) -> None:
    home = shared_home
    first = command(home, "up")
    assert first.returncode == 0, first.stdout + first.stderr
    variables = read_env(home.env_file)
    assert variables["EVERLOOP_AIRFLOW_PASSWORD"] in first.stdout
    assert "Already up" in command(home, "up").stdout
    log_in = {"username": "admin", "password": variables["EVERLOOP_AIRFLOW_PASSWORD"]}
    assert httpx.post(f"{variables['EVERLOOP_AIRFLOW']}/auth/token", json=log_in).status_code == httpx.codes.CREATED

    killed = ("postgres", "api-server", "mlflow")
    for name in killed:
        os.kill(part(home, name)["process"]["pid"], signal.SIGKILL)
    wait_for(lambda: all(part(home, name)["restarts"] >= 1 for name in killed))
    wait_for(lambda: read_board(home)["state"] == "ready")
    assert httpx.post(f"{variables['EVERLOOP_AIRFLOW']}/auth/token", json=log_in).status_code == httpx.codes.CREATED
    shown = command(home, "status")
    assert shown.returncode == 0
    assert "api-server" in shown.stdout

    assert command(home, "down").stdout == "Stopped\n"
    assert left(home) == []
    assert command(home, "status").returncode == 1


def test_down_ends_what_a_killed_supervisor_left(home: Home) -> None:
    home.path.mkdir(mode=0o700)
    home.own_settings.write_text("export EVERLOOP_AIRFLOW=http://127.0.0.1:9\nexport EVERLOOP_MLFLOW=http://127.0.0.1:9\n")
    assert command(home, "up").returncode == 0
    os.kill(read_board(home)["supervisor"]["pid"], signal.SIGKILL)
    wait_for(lambda: not is_held(home))
    assert left(home) != []
    assert command(home, "status").stdout.startswith("down")
    assert "postgres" in command(home, "down").stdout
    assert left(home) == []


def test_up_after_a_killed_supervisor_takes_over(home: Home) -> None:
    home.path.mkdir(mode=0o700)
    home.own_settings.write_text("export EVERLOOP_AIRFLOW=http://127.0.0.1:9\nexport EVERLOOP_MLFLOW=http://127.0.0.1:9\n")
    assert command(home, "up").returncode == 0
    ports = home.remembered.read_text()
    os.kill(read_board(home)["supervisor"]["pid"], signal.SIGKILL)
    wait_for(lambda: not is_held(home))
    again = command(home, "up")
    assert again.returncode == 0, again.stderr
    assert home.remembered.read_text() == ports
    assert "ended what a killed supervisor had left: postgres, scorer" in home.log("supervisor").read_text()


def test_up_that_fails_shows_the_last_words_and_leaves_nothing(home: Home) -> None:
    home.path.mkdir(mode=0o700)
    home.own_settings.write_text("export EVERLOOP_DATABASE=postgresql://nobody@127.0.0.1:9/none\n")
    failed = command(home, "up")
    assert failed.returncode == 1
    assert "The stack did not start: schema failed" in failed.stderr
    assert "127.0.0.1:9" in failed.stderr
    assert left(home) == []


def test_logs_of_an_unknown_part_names_the_known_ones(home: Home) -> None:
    (home.path / "logs").mkdir(parents=True)
    home.log("mlflow").write_text("one\ntwo\n")
    assert command(home, "logs", "mlflow", "-n", "1").stdout == "two\n"
    assert "there are mlflow" in command(home, "logs", "nothing").stderr


def test_forgetting_deletes_the_state(home: Home) -> None:
    (home.path / "logs").mkdir(parents=True)
    assert "Deleted" in command(home, "down", "--forget").stdout
    assert not home.path.exists()
