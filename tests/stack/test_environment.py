"""The variables of the stack: what people choose wins, what the stack made never looks like a choice."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from everloop.settings import read_settings
from everloop.stack.environment import adopt, make_environment, own_choices, process_environment, read_env, write_env
from everloop.stack.home import Home, make_home

PORTS = {"postgres": 5442, "airflow": 8080, "mlflow": 5000, "scorer": 8000}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "it's home")


def started(home: Home, environ: dict[str, str], **ports: int) -> dict[str, str]:
    """The variables after a start from a shell with `environ`."""
    variables = make_environment(home, PORTS | ports, own_choices(home, environ))
    write_env(home, variables)
    return variables


def test_settings_are_readable_from_the_variables(home: Home) -> None:
    settings = read_settings(started(home, {}))
    assert settings.home == home.path
    assert settings.scorer == "http://127.0.0.1:8000"
    assert settings.connection("airline").endswith("/airline")


def test_file_is_private_and_a_shell_reads_the_same(home: Home) -> None:
    variables = started(home, {"EVERLOOP_API_KEY": "a b'$c"})
    assert stat.S_IMODE(home.env_file.stat().st_mode) == 0o600
    assert read_env(home.env_file) == variables
    shell = subprocess.run(["sh", "-c", '. "$0" && env -0', home.env_file], capture_output=True, text=True, check=True)
    assert variables.items() <= dict(line.split("=", 1) for line in shell.stdout.split("\0") if line).items()


def test_choice_wins_and_others_follow_it(home: Home) -> None:
    variables = started(home, {"EVERLOOP_MLFLOW": "https://mlflow.example", "AIRFLOW__CORE__PARALLELISM": "12", "HOME": "/"})
    assert variables["MLFLOW_TRACKING_URI"] == "https://mlflow.example"
    assert variables["AIRFLOW__CORE__PARALLELISM"] == "12"
    assert "HOME" not in variables


def test_sourced_file_is_no_choice_even_when_the_ports_have_changed_since(home: Home) -> None:
    sourced = started(home, {})
    started(home, {}, postgres=6000)
    assert own_choices(home, sourced) == {}
    assert own_choices(home, sourced | {"EVERLOOP_LAKE": "s3://bucket/lake"}) == {"EVERLOOP_LAKE": "s3://bucket/lake"}


def test_choice_in_the_settings_file_stays_in_force_and_the_shell_is_stronger(home: Home) -> None:
    home.own_settings.write_text("# ours\nexport EVERLOOP_LAKE=s3://bucket/lake\nEVERLOOP_LANDING='s3://bucket/landing'\n")
    assert own_choices(home, {"EVERLOOP_LANDING": "/drop"}) == {
        "EVERLOOP_LAKE": "s3://bucket/lake",
        "EVERLOOP_LANDING": "/drop",
    }


def test_adopting_renews_what_came_from_a_file_and_keeps_what_a_person_set(home: Home) -> None:
    environ = {"EVERLOOP_SCORER": "http://elsewhere"}
    started(home, {})
    adopt(home, environ)
    started(home, {}, mlflow=6001)
    adopt(home, environ)
    assert environ["EVERLOOP_MLFLOW"] == "http://127.0.0.1:6001"
    assert environ["EVERLOOP_SCORER"] == "http://elsewhere"


def test_parts_get_no_variable_that_would_disturb_them(home: Home) -> None:
    shell = {"PYTHONDONTWRITEBYTECODE": "1", "AIRFLOW_HOME": "/other", "PIP_USER": "1", "NO_PROXY": "example.org", "PATH": "/bin"}
    given = process_environment(started(home, shell), shell)
    assert "PYTHONDONTWRITEBYTECODE" not in given
    assert given["AIRFLOW_HOME"] == str(home.path / "airflow")
    assert given["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    assert given["PATH"].endswith(":/bin")
