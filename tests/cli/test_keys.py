"""`everloop keys` from the first key to the last, on a real database: the clear key goes to stdout alone, and once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

import airflow_home  # noqa: F401
from everloop.adapters.keys import PostgresKeys
from everloop.api_key import split
from everloop.cli import app
from everloop.errors import ConfigurationError


@pytest.fixture
def keys(everloop_database: str, tmp_path: Path) -> Callable[..., Result]:
    """Runs `everloop keys` with the words given."""
    settings = {"EVERLOOP_HOME": str(tmp_path), "EVERLOOP_DATABASE": everloop_database, "EVERLOOP_MLFLOW": "sqlite://"}
    return lambda *words: CliRunner(env=settings).invoke(app, ["keys", *words], catch_exceptions=False)


def test_from_the_first_key_to_the_last(keys: Callable[..., Result], everloop_database: str) -> None:
    assert keys("list").stdout == "0 of 0 keys are valid\n"
    made = keys("create", "shop", "--scope", "score", "--scope", "outcomes", "--rate", "100", "--burst", "200")
    first = split(made.stdout.strip())[0]
    assert (made.exit_code, len(made.stdout.splitlines())) == (0, 1)
    assert f"Key {first} of shop is made. The key is shown this once" in made.stderr
    assert made.stdout.strip() not in made.stderr

    followed = keys("rotate", first, "--grace", "2h")
    second = split(followed.stdout.strip())[0]
    assert f"Key {second} of shop follows {first}, which expires at 2" in followed.stderr
    old, new = PostgresKeys(everloop_database).listed()
    assert (old.replaced_by, new.id) == (second, second)
    assert old.expires_at is not None
    assert abs(old.expires_at - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=1)

    assert f"Key {second} of shop is revoked since 2" in keys("revoke", second).stdout
    told = keys("list").stdout
    assert f"{first}  shop  replaced  outcomes,score  100/s, 200 at once  until 2" in told
    assert f"{second}  shop  revoked  outcomes,score  100/s, 200 at once  no expiry" in told
    assert told.endswith("1 of 2 keys are valid\n")
    for clear in (made.stdout, followed.stdout):
        assert split(clear.strip())[1] not in told


def test_a_key_expires_on_the_day_given(keys: Callable[..., Result], everloop_database: str) -> None:
    keys("create", "audit", "--scope", "read", "--expires", "2999-01-01")
    (made,) = PostgresKeys(everloop_database).listed()
    assert (made.expires_at, made.requests_per_second) == (datetime(2999, 1, 1, tzinfo=UTC), None)
    assert "read  no limit  until 2999-01-01T00:00:00Z" in keys("list").stdout


def test_wrong_words_are_refused_and_nothing_is_made(keys: Callable[..., Result], everloop_database: str) -> None:
    assert keys("create", "shop").exit_code == 2
    assert keys("create", "shop", "--scope", "fly").exit_code == 2
    with pytest.raises(ConfigurationError, match="rate is 0"):
        keys("create", "shop", "--scope", "score", "--rate", "0")
    refused = keys("rotate", "0123", "--grace", "soon")
    assert (refused.exit_code, "24h" in refused.stderr) == (2, True)
    assert PostgresKeys(everloop_database).listed() == []
