"""`everloop why`: text and data from the ledger in PostgreSQL, and an exit code that tells a broken chain."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

import airflow_home  # noqa: F401
from everloop.adapters.ledger import PostgresLedger
from everloop.cli import app
from everloop.decide.release.state import ReleaseState
from everloop.errors import ReleaseError
from everloop.ports import Decision

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def run(everloop_database: str, tmp_path: Path) -> object:
    promoted = Decision(
        actor="ann", action="promoted", subject="aaaa", after=ReleaseState(champion="aaaa"), reason="so", evidence={"n": 1.5}
    )
    PostgresLedger(everloop_database).append("flights", promoted, expected=0, at=NOW)
    settings = {"EVERLOOP_HOME": str(tmp_path), "EVERLOOP_DATABASE": everloop_database, "EVERLOOP_MLFLOW": "sqlite://"}

    def command(*words: str) -> Result:
        return CliRunner(env=settings).invoke(app, ["why", "flights", *words], catch_exceptions=False)

    return command


def test_text_and_data_tell_the_same_rows(run) -> None:
    told = run()
    assert told.exit_code == 0
    assert "row 1  promoted aaaa by ann: so" in told.output
    data = json.loads(run("aaaa", "--json").output)
    assert (data["release"], data["serving"], data["chain"]["intact"]) == ("aaaa", "aaaa", True)
    assert (data["entries"][0]["evidence"], data["entries"][0]["hash"]) == ({"n": 1.5}, data["chain"]["head"])
    assert data["chain"]["head"] in told.output


def test_a_changed_row_ends_with_1_and_is_named(run, everloop_database: str) -> None:
    with psycopg.connect(everloop_database) as connection:
        connection.execute("ALTER TABLE ledger DISABLE TRIGGER USER")
        connection.execute("UPDATE ledger SET reason = 'because'")
    told = run()
    assert told.exit_code == 1
    assert "The chain of flights is BROKEN: row 1 of flights was changed" in told.output
    assert run("--json").exit_code == 1


def test_a_name_that_nobody_decided_about_is_an_error_that_names_those_that_are_known(run) -> None:
    with pytest.raises(ReleaseError, match="speaks of zzzz; it speaks of aaaa"):
        run("zzzz")
