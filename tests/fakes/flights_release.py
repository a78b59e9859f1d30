"""Releases of the flights that have learnt from noise: all that serving needs, and quickly made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from everloop.learn.encode import model_columns
from everloop.release import MODEL, REQUEST_FUNCTIONS, Bundle, Calibrator, FeaturePlan, Manifest, sha256
from everloop.settings import PROJECT
from everloop.use_case import UseCase

TRAINED_THROUGH = datetime(2013, 4, 2, tzinfo=UTC)


def bundle(flights: UseCase, plan: FeaturePlan, functions: bytes, seed: int) -> Bundle:
    """A release of the flights that has learnt from noise."""
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
        trained_through=TRAINED_THROUGH,
        parameters={"seed": seed},
        metrics={},
        lineage={},
        files={name: sha256(content) for name, content in files.items()},
    )
    return Bundle(manifest, files)


def model(columns: Sequence[str], categories: Sequence[str], seed: int) -> bytes:
    """UBJ bytes of a booster on random rows."""
    import xgboost

    noise = np.random.default_rng(seed)
    rows = noise.integers(0, 2, (200, len(columns))).astype(np.float32)
    kinds = ["c" if name in categories else "q" for name in columns]
    data = xgboost.DMatrix(
        rows, noise.random(200) < 0.4, feature_names=list(columns), feature_types=kinds, enable_categorical=True
    )
    parameters = {"objective": "binary:logistic", "max_depth": 2, "nthread": 1, "seed": seed}
    return bytes(xgboost.train(parameters, data, num_boost_round=3).save_raw("ubj"))


def an_hour_off(functions: str) -> str:
    """The request-time functions of the flights as somebody might spoil them at serving: New York's clock read in Chicago."""
    spoilt = functions.replace("America/New_York", "America/Chicago")
    assert spoilt != functions
    return spoilt
