"""The commands that look after accounts and quarantine, on a lake that holds nothing yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import airflow_home  # noqa: F401
from everloop.cli import app


@pytest.fixture
def run(everloop_database: str, tmp_path: Path) -> object:
    settings = {"EVERLOOP_HOME": str(tmp_path), "EVERLOOP_DATABASE": everloop_database, "EVERLOOP_MLFLOW": "sqlite://"}

    def command(*words: str) -> tuple[int, str]:
        answer = CliRunner(env=settings).invoke(app, list(words), catch_exceptions=False)
        return answer.exit_code, answer.output.strip()

    return command


def test_an_empty_lake_has_accounts_that_add_up_and_nothing_in_quarantine(run, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    assert run("accounts", "flights") == (0, "flights: all accounts add up")
    assert run("quarantine", "list", "flights") == (0, "0 rows in quarantine")
    assert run("quarantine", "show", "flights", "flights") == (0, "0 rows")
    assert run("quarantine", "show", "flights", "flights", "--csv", str(file)) == (0, f"0 rows written to {file}")
    done = run("quarantine", "repair", "flights", "flights", str(file), "--reason", "nothing to mend")
    assert done == (0, "0 rows published, 0 stay in quarantine, 0 as they were")
