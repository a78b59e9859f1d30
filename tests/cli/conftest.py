"""The `everloop` command on a database of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import airflow_home  # noqa: F401
from everloop.cli import app

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(everloop_database: str, tmp_path: Path) -> Run:
    """Runs the command with the words given: its exit code and what it said."""
    settings = {"EVERLOOP_HOME": str(tmp_path), "EVERLOOP_DATABASE": everloop_database, "EVERLOOP_MLFLOW": "sqlite://"}

    def command(*words: str) -> tuple[int, str]:
        answer = CliRunner(env=settings).invoke(app, list(words), catch_exceptions=False)
        return answer.exit_code, answer.output.strip()

    return command
