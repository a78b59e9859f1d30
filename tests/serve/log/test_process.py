"""The shipper as a process of its own: what it brings over, what it says of itself, how it ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import psutil
import pytest

from everloop.serve.log import process
from everloop.serve.log.frames import rows
from everloop.serve.log.process import FOLDER, Shipping, ShippingThread
from everloop.serve.log.segment import PredictionLog
from everloop.serve.log.status import Status, clear_away, read_status, status_file, write_status
from serve.log.records import NOW, keys, record
from serve.world import wait_until

NOWHERE = "postgresql://nobody:secret@127.0.0.1:1/none"


def test_it_ships_while_it_runs_and_what_is_there_when_it_is_told_to_stop(everloop_database: str, tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / FOLDER)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "EVERLOOP_HOME": str(tmp_path),
        "EVERLOOP_DATABASE": everloop_database,
        "EVERLOOP_MLFLOW": "http://127.0.0.1:1",
    }
    shipper = subprocess.Popen([sys.executable, "-m", "everloop.serve.log"], env=environment)
    try:
        log.append(rows([record(1)]))
        wait_until(lambda: keys(everloop_database) == ["k1"], 60)
        wait_until(lambda: (told := read_status(log.folder)) is not None and told.shipped_rows == 1, 10)
        log.append(rows([record(2)]))
        assert psutil.Process(shipper.pid).nice() > os.nice(0), "answers come first"
        shipper.terminate()
        assert shipper.wait(20) == 0
    finally:
        shipper.kill()
    assert keys(everloop_database) == ["k1", "k2"]


def stopped() -> threading.Event:
    stop = threading.Event()
    stop.set()
    return stop


def test_the_status_says_what_waits_since_when_and_why(everloop_database: str, tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    size = log.append(rows([record(1), record(2)]))
    Shipping(tmp_path, NOWHERE).run(stopped())
    told = read_status(tmp_path)
    assert told is not None
    assert (told.unshipped_bytes, told.oldest_unshipped_at, told.shipped_rows, told.set_aside) == (size, NOW, 0, 0)
    assert "127.0.0.1:1/none does not answer" in (told.problem or "")
    assert "secret" not in status_file(tmp_path).read_text()
    log.append(rows([record(3, key="nul\0")]))
    Shipping(tmp_path, everloop_database).run(stopped())
    told = read_status(tmp_path)
    assert told is not None
    assert (told.problem, told.unshipped_bytes, told.oldest_unshipped_at, told.shipped_rows, told.set_aside) == (
        None,
        0,
        None,
        2,
        1,
    )


def test_a_quiet_shipper_writes_its_status_only_as_a_sign_of_life(
    everloop_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(seconds: float) -> int:
        thread = ShippingThread(Shipping(tmp_path, everloop_database, every=0.01))
        found = set()
        thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if told := read_status(tmp_path):
                found.add(told.at)
            time.sleep(0.005)
        thread.stop()
        return len(found)

    PredictionLog(tmp_path)
    assert written(0.5) == 1
    monkeypatch.setattr(process, "HEARTBEAT", 0.1 * process.HEARTBEAT / 10)
    assert written(1.0) > 2


def test_there_is_no_status_before_a_shipper_ran_or_when_it_is_unreadable(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    status_file(tmp_path).write_text("{")
    assert read_status(tmp_path) is None


def test_a_reader_never_sees_half_a_status(tmp_path: Path) -> None:
    status = Status(at=NOW, problem="x" * 5000, unshipped_bytes=1, oldest_unshipped_at=None, shipped_rows=2, set_aside=3)
    write_status(tmp_path, status)
    wrong: list[object] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            if read_status(tmp_path) != status:
                wrong.append(1)

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(300):
        write_status(tmp_path, status)
    stop.set()
    thread.join()
    assert not wrong
    assert [path.name for path in tmp_path.iterdir()] == [status_file(tmp_path).name]


def test_shippers_of_several_machines_on_one_folder_are_told_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def say(machine: str, at: datetime, **told: object) -> None:
        nothing = {"problem": None, "unshipped_bytes": 0, "oldest_unshipped_at": None, "shipped_rows": 0, "set_aside": 0}
        monkeypatch.setattr(socket, "gethostname", lambda: machine)
        write_status(tmp_path, Status(at=at, **{**nothing, **told}))  # type: ignore[arg-type]

    say("gone", NOW - timedelta(seconds=21), problem="PostgreSQL does not answer", unshipped_bytes=900, set_aside=7)
    say("one", NOW - timedelta(seconds=9), shipped_rows=2, unshipped_bytes=30, oldest_unshipped_at=NOW)
    say("two", NOW, shipped_rows=3, set_aside=1, problem="the disk is full")
    told = read_status(tmp_path)
    assert told == Status(
        at=NOW, problem="the disk is full", unshipped_bytes=30, oldest_unshipped_at=NOW, shipped_rows=5, set_aside=1
    )
    clear_away(tmp_path, NOW + timedelta(days=1, seconds=-20))
    assert {path.name for path in tmp_path.iterdir()} == {"shipper.one.json", "shipper.two.json"}


def test_shipping_goes_on_after_postgresql_was_away(
    everloop_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(tmp_path)
    monkeypatch.setattr(process, "FAILED_SECONDS", 0.05)
    shipping = Shipping(tmp_path, NOWHERE, every=0.02)
    thread = ShippingThread(shipping)
    thread.start()
    log.append(rows([record(1)]))
    wait_until(lambda: thread.problem is not None)
    shipping._shipper._uri = everloop_database
    wait_until(lambda: thread.problem is None)
    thread.stop()
    assert keys(everloop_database) == ["k1"]
