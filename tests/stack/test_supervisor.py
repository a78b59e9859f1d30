"""The supervisor: order, restarts, giving up, stopping, and what a killed one leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from everloop.stack import processes
from everloop.stack.home import Home, make_home
from everloop.stack.parts import Job, Part, Service
from everloop.stack.standing import read_board
from everloop.stack.supervisor import LARGEST_LOG_BYTES, Supervisor, end_leftovers, shorten_logs

SLEEPER = (sys.executable, "-S", "-c", "import time; time.sleep(100)")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


def service(
    name: str, command: tuple[str, ...] = SLEEPER, ready: Callable[[datetime], bool] = lambda _: True, **more: Any
) -> Service:
    return Service(name=name, command=command, environment=dict(os.environ), is_ready=ready, **more)


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def part(home: Home, name: str) -> dict[str, Any]:
    found: dict[str, Any] = read_board(home)["parts"][name]
    return found


@contextmanager
def running(home: Home, *parts: Part) -> Iterator[None]:
    supervisor = Supervisor(home, parts)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield
    finally:
        supervisor.stop()
        thread.join()


def test_part_starts_only_when_what_it_needs_is_ready(home: Home) -> None:
    seen: list[str] = []
    gate = threading.Event()
    parts = (
        service("first", ready=lambda _: gate.is_set()),
        Job(name="job", run=lambda: seen.append("job"), after=("first",)),
        service("second", after=("job",)),
    )
    with running(home, *parts):
        wait_for(lambda: part(home, "first")["state"] == "starting")
        assert seen == []
        gate.set()
        wait_for(lambda: read_board(home)["state"] == "ready")
        assert seen == ["job"]


def test_killed_part_comes_back_with_nothing_of_its_old_self(home: Home) -> None:
    child = "import subprocess, sys, time; subprocess.Popen(['sleep', '100']); time.sleep(100)"
    with running(home, service("part", (sys.executable, "-S", "-c", child))):
        wait_for(lambda: read_board(home)["state"] == "ready")
        old = part(home, "part")["process"]["pid"]
        wait_for(lambda: len(processes.members(old)) == 2)
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: part(home, "part")["restarts"] == 1 and part(home, "part")["state"] == "ready")
        assert processes.members(old) == []
        assert read_board(home)["state"] == "ready"


def test_part_that_never_becomes_ready_stops_the_whole_and_says_why(home: Home) -> None:
    supervisor = Supervisor(home, [service("good"), service("bad", ("false",), ready=lambda _: False, after=("good",))])
    assert not supervisor.run()
    board = read_board(home)
    assert board["state"] == "failed"
    assert board["reason"] == "bad ended (1), 3 times in a row: see `everloop logs bad`"
    assert board["parts"]["good"]["state"] == "stopped"


def test_job_that_fails_once_is_tried_again(home: Home) -> None:
    tries: list[int] = []

    def run() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("not yet")

    with running(home, Job(name="job", run=run)):
        wait_for(lambda: part(home, "job")["state"] == "done")
        assert part(home, "job")["restarts"] == 1


def test_part_that_stays_silent_too_long_is_ended(home: Home) -> None:
    supervisor = Supervisor(home, [service("silent", ready=lambda _: False, patience=0.1)])
    assert not supervisor.run()
    assert "was not ready within 0.1 s" in read_board(home)["reason"]


def test_stopping_kills_what_ignores_the_signal(home: Home) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ok', flush=True); time.sleep(100)"
    log = home.log("stubborn")
    part_ = service("stubborn", (sys.executable, "-S", "-c", stubborn), ready=lambda _: "ok" in log.read_text(), stop_seconds=0.3)
    with running(home, part_):
        wait_for(lambda: read_board(home)["state"] == "ready")
        pid = part(home, "stubborn")["process"]["pid"]
    assert processes.members(pid) == []


def test_parts_stop_before_what_they_stand_on(home: Home, tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[1], "a").write(sys.argv[2]), sys.exit()))
print("ok", flush=True)
time.sleep(100)
"""

    def writer(name: str, *after: str) -> Service:
        command = (sys.executable, "-S", "-c", code, str(order), name)
        return service(name, command, ready=lambda _: "ok" in home.log(name).read_text(), after=after)

    with running(home, writer("a"), writer("b", "a"), writer("c", "b")):
        wait_for(lambda: read_board(home)["state"] == "ready")
    assert order.read_text() == "cba"


def test_leftovers_of_a_killed_supervisor_are_ended(home: Home) -> None:
    orphan = subprocess.Popen(SLEEPER, start_new_session=True)
    told = {"parts": {"part": {"process": processes.identity(orphan.pid)}, "other": {"process": None}}}
    assert end_leftovers(told) == ["part"]
    assert orphan.wait(5) == -signal.SIGTERM
    assert end_leftovers(told) == []


def test_stopping_leaves_alone_what_the_process_had_started_before(home: Home) -> None:
    innocent = subprocess.Popen(SLEEPER)
    with running(home, service("part")):
        wait_for(lambda: read_board(home)["state"] == "ready")
    assert innocent.poll() is None
    innocent.kill()
    innocent.wait()


def test_process_that_took_over_a_number_is_left_alone() -> None:
    innocent = subprocess.Popen(SLEEPER, start_new_session=True)
    known = processes.identity(innocent.pid)
    assert end_leftovers({"parts": {"part": {"process": known | {"created": known["created"] - 3600}}}}) == []
    assert end_leftovers({"parts": {"part": {"process": known | {"boot": known["boot"] - 3600}}}}) == []
    assert innocent.poll() is None
    innocent.kill()
    innocent.wait()


def test_large_log_is_cut_and_a_copy_kept_beside_it(home: Home) -> None:
    with home.log("part").open("wb") as log:
        log.truncate(LARGEST_LOG_BYTES + 1)
    home.log("small").write_text("small")
    shorten_logs(home)
    assert home.log("part").stat().st_size == 0
    assert home.log("part").with_suffix(".log.1").stat().st_size == LARGEST_LOG_BYTES + 1
    assert home.log("small").read_text() == "small"
