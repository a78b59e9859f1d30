"""The shared stack with releases of the flights, for the commands that the documentation shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import airflow_home  # noqa: F401
from everloop.catalog import use_case
from everloop.decide.state import ReleaseState, Stage
from everloop.ports import Decision
from everloop.release import MODEL, REQUEST_FUNCTIONS, Bundle, Calibrator, FeaturePlan, Manifest, sha256
from everloop.settings import PROJECT
from everloop.stack.environment import read_env
from everloop.stack.home import Home
from everloop.use_case import UseCase
from running_stack import command

AT = datetime(2013, 4, 2, tzinfo=UTC)


@pytest.fixture(scope="session")
def seeded_stack(shared_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Up, with two releases of the flights that were champions and a third one in its canary."""
    done = command(shared_home, "up")
    assert done.returncode == 0, done.stdout + done.stderr
    seed(read_env(shared_home.env_file), tmp_path_factory.mktemp("features"))
    return shared_home


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
        champion=second, previous=first, challenger=third, rollout="r1", stage=Stage.CANARY, weight=0.05, since=AT
    )
    steps = (("promoted", first, ReleaseState(champion=first)), ("promoted", second, ReleaseState(champion=second)))
    ledger = PostgresLedger(variables["EVERLOOP_DATABASE"])
    for number, (action, subject, after) in enumerate((*steps, ("advanced", third, canary))):
        decision = Decision(actor="tests", action=action, subject=subject, after=after, reason="for the documentation")
        ledger.append("flights", decision, expected=number, at=datetime.now(UTC))


def bundle(flights: UseCase, plan: FeaturePlan, functions: bytes, seed: int) -> Bundle:
    """A release of the flights that has learnt from noise."""
    from everloop.learn.encode import model_columns

    columns = model_columns(plan, flights.categories)
    suite = (PROJECT / "expectations" / "flights" / f"{flights.examples.suite}.json").read_bytes()
    files = {
        MODEL: model(columns, flights.categories, seed),
        REQUEST_FUNCTIONS: functions,
        f"suites/{flights.examples.suite}.json": suite,
    }
    manifest = Manifest(
        use_case="flights",
        columns=columns,
        categories=dict.fromkeys(flights.categories, ("A", "B")),
        calibrator=Calibrator(x=(0.0, 1.0), y=(0.05, 0.95)),
        threshold=flights.cost.threshold,
        plan=plan,
        entity=flights.entity,
        service=flights.service,
        request_suite=flights.examples.suite,
        shadow_share=flights.rollout.shadow_share,
        snapshot={},
        trained_from=flights.start,
        trained_through=AT,
        parameters={"seed": seed},
        metrics={},
        lineage={},
        files={name: sha256(content) for name, content in files.items()},
    )
    return Bundle(manifest, files)


def model(columns: tuple[str, ...], categories: tuple[str, ...], seed: int) -> bytes:
    import xgboost

    noise = np.random.default_rng(seed)
    rows = noise.integers(0, 2, (200, len(columns))).astype(np.float32)
    kinds = ["c" if name in categories else "q" for name in columns]
    data = xgboost.DMatrix(
        rows, noise.random(200) < 0.4, feature_names=list(columns), feature_types=kinds, enable_categorical=True
    )
    parameters = {"objective": "binary:logistic", "max_depth": 2, "nthread": 1, "seed": seed}
    return bytes(xgboost.train(parameters, data, num_boost_round=3).save_raw("ubj"))
