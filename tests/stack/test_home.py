"""The state folder: private, whole after a crash, and clear about what is wrong with it."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from everloop.errors import StackError
from everloop.stack.commands import moved_ports
from everloop.stack.home import (
    PREFERRED_PORTS,
    HomeLock,
    choose_ports,
    is_held,
    make_home,
    read_json,
    read_secrets,
    write_private,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_home_is_private(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    read_secrets(home)
    assert mode(home.path) == (0o711 if os.geteuid() == 0 else 0o700)
    assert mode(home.path / "logs") == 0o700
    assert mode(home.secrets) == mode(home.lock) == 0o600


def test_unwritable_home_names_itself_and_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match=r"file/home.*EVERLOOP_HOME"):
        make_home(tmp_path / "file" / "home")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_home_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o500)
    with pytest.raises(StackError, match="cannot be written by"):
        make_home(tmp_path / "home" / "mine")


def test_secrets_are_made_once_and_completed(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    first = read_secrets(home)
    assert read_secrets(home) == first
    kept = {k: v for k, v in first.items() if k != "api_key"}
    write_private(home.secrets, json.dumps(kept))
    second = read_secrets(home)
    assert {k: v for k, v in second.items() if k != "api_key"} == kept
    assert second["api_key"] != first["api_key"]


def test_file_that_a_crash_left_empty_counts_as_absent(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_bytes(b"\0" * 100)
    assert read_json(tmp_path / "status.json") == {}


@pytest.mark.parametrize("text", ['{"half', "[1]"])
def test_damaged_file_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "secrets.json").write_text(text)
    with pytest.raises(StackError, match=r"secrets\.json.*delete it"):
        read_json(tmp_path / "secrets.json")


def test_failed_write_leaves_the_old_file_whole(tmp_path: Path) -> None:
    write_private(tmp_path / "kept", "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(tmp_path / "kept", "new \ud800")
    assert (tmp_path / "kept").read_text() == "old"


def test_lock_has_one_holder(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    first, second = HomeLock(home), HomeLock(home)
    assert first.take()
    assert not second.take()
    assert is_held(home)
    first.release()
    assert not is_held(home)


def test_a_port_other_than_the_usual_one_is_told(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    assert moved_ports(home) == []
    home.remembered.write_text(json.dumps({"ports": {**PREFERRED_PORTS, "airflow": 50123}}))
    assert moved_ports(home) == ["airflow listens on port 50123: the usual one, 8080, was taken"]


def test_taken_port_is_replaced_and_the_choice_remembered(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        preferred = {"airflow": int(taken.getsockname()[1]), "mlflow": int(taken.getsockname()[1])}
        chosen = choose_ports(home, preferred)
        assert len({*chosen.values(), *preferred.values()}) == 3
    assert choose_ports(home, preferred) == chosen
