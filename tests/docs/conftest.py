"""The shared stack with releases of the flights, for the commands that the documentation shows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

import airflow_home  # noqa: F401
from everloop.catalog import use_case
from everloop.decide.release.state import ReleaseState, Stage
from everloop.ports import Decision
from everloop.settings import PROJECT
from everloop.stack.environment import read_env
from everloop.stack.home import Home
from fakes.flights_release import TRAINED_THROUGH, bundle
from fakes.traffic import prediction, ship
from running_stack import command


@pytest.fixture(scope="session")
def seeded_stack(shared_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Up, with two releases of the flights that were champions, requests that they answered, and a third one in its canary."""
    done = command(shared_home, "up")
    assert done.returncode == 0, done.stdout + done.stderr
    variables = read_env(shared_home.env_file)
    seed(variables, tmp_path_factory.mktemp("features"))
    wait_until_served(variables["EVERLOOP_SCORER"])
    return shared_home


def wait_until_served(scorer: str, seconds: float = 60) -> None:
    """Until the scorer has followed the ledger: a page's first command may score."""
    end = time.monotonic() + seconds
    while not httpx.get(f"{scorer}/readyz").json()["use_cases"].get("flights", {}).get("release"):
        assert time.monotonic() < end, "the scorer does not serve the flights"
        time.sleep(0.1)


def answered(database: str, release: str) -> None:
    """A week of requests that `release` answered, each with its outcome."""
    from everloop.adapters.traffic import PostgresTraffic

    random = np.random.default_rng(1)
    rows = [
        prediction(f"q{n}", entity=f"e{n % 300}", as_of=TRAINED_THROUGH + n * timedelta(minutes=10), release=release, score=score)
        for n, score in enumerate(random.random(1_000))
    ]
    ship(database, "flights", rows)
    outcomes = [(row["key"], bool(random.random() < row["score"]), TRAINED_THROUGH + timedelta(days=8)) for row in rows]
    PostgresTraffic(database).record_outcomes("flights", outcomes)


def seed(variables: Mapping[str, str], folder: Path) -> None:
    from everloop.adapters.features.declared import DeclaredFeatures
    from everloop.adapters.ledger import PostgresLedger
    from everloop.adapters.releases import ReleaseFiles

    flights = use_case("flights")
    features = DeclaredFeatures(PROJECT / "feature_repo", flights, folder)
    features.apply()
    plan, functions = features.plan(), features.request_functions().encode()
    store = ReleaseFiles(variables["EVERLOOP_RELEASES"])
    first, second, third = (store.put(bundle(flights, plan, functions, number)) for number in (1, 2, 3))
    canary = ReleaseState(
        champion=second, previous=first, challenger=third, rollout="r1", stage=Stage.CANARY, weight=0.05, since=TRAINED_THROUGH
    )
    steps = (("promoted", first, ReleaseState(champion=first)), ("promoted", second, ReleaseState(champion=second)))
    answered(variables["EVERLOOP_DATABASE"], second)
    ledger = PostgresLedger(variables["EVERLOOP_DATABASE"])
    for number, (action, subject, after) in enumerate((*steps, ("advanced", third, canary))):
        decision = Decision(actor="tests", action=action, subject=subject, after=after, reason="for the documentation")
        ledger.append("flights", decision, expected=number, at=datetime.now(UTC))
