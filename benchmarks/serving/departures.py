"""A use case of a real one's size for benchmarks of our own service: requests, stored features, request functions, a model.

27 model inputs, as flights has them: 8 of the request, 5 of each of 3 stored views, 4 of a request-time function.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from benchmarks.world import KEPT
from everloop.decide.policy import ServicePolicy
from everloop.release import (
    MODEL,
    REQUEST_FUNCTIONS,
    Bundle,
    Calibrator,
    FeaturePlan,
    Manifest,
    RequestFunctionPlan,
    ViewPlan,
    sha256,
)

USE_CASE = "departures"
AT = datetime(2013, 7, 1, 12, tzinfo=UTC)
CARRIERS = tuple(f"{a}{b}" for a in "ABCD" for b in "WXYZ")
AIRPORTS, AIRCRAFT = 100, 1_000
TREES = 400
ROWS = 10_000
FEATURES = ("rate", "mean", "spread", "worst", "count")


def view(name: str, key: str, kind: str, ttl: timedelta) -> ViewPlan:
    """Five numbers by one key."""
    table, features = f"online.{USE_CASE}_{name}", dict.fromkeys(FEATURES, "float")
    return ViewPlan(name=name, table=table, join_keys={key: kind}, features=features, ttl_seconds=ttl.total_seconds())


VIEWS = (
    view("by_carrier", "carrier", "string", timedelta(days=28)),
    view("by_airport", "airport", "int", timedelta(hours=6)),
    view("by_aircraft", "aircraft", "int", timedelta(days=28)),
)
REQUEST = {
    "carrier": "string",
    "flight": "int",
    "airport": "int",
    "aircraft": "int",
    "scheduled": "int",
    "distance": "float",
    "seats": "float",
    "international": "bool",
}
CLOCK = RequestFunctionPlan(
    name="clock",
    function="clock",
    inputs={"scheduled": "int"},
    features={"hour": "int", "weekday": "int", "sine": "float", "cosine": "float"},
)
FUNCTIONS = """
import math

DAY = 1440


def clock(columns):
    given = columns["scheduled"]
    angles = [None if at is None else math.tau * (at % DAY) / DAY for at in given]
    return {
        "hour": [None if at is None else at % DAY // 60 for at in given],
        "weekday": [None if at is None else at // DAY % 7 for at in given],
        "sine": [None if angle is None else math.sin(angle) for angle in angles],
        "cosine": [None if angle is None else math.cos(angle) for angle in angles],
    }
"""
_STORED = {f"{one.name}__{feature}": "float" for one in VIEWS for feature in FEATURES}
_MADE = {f"clock__{name}": kind for name, kind in CLOCK.features.items()}
COLUMNS = (*REQUEST, *_STORED, *_MADE)


def _within(column: str, low: float, high: float) -> dict[str, Any]:
    return {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": column, "min_value": low, "max_value": high},
        "meta": {"severity": "quarantine"},
    }


def _given(column: str) -> dict[str, Any]:
    return {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": column}}


SUITE = {
    "name": "request",
    "expectations": [
        *map(_given, ("carrier", "flight", "airport")),
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "carrier", "regex": "^[A-Z0-9]{2}$"}},
        {"type": "expect_column_value_lengths_to_equal", "kwargs": {"column": "carrier", "value": 2}},
        _within("flight", 1, 999_999),
        _within("distance", 0, 9_000),
        _within("seats", 1, 900),
        _within("scheduled", 0, 10**8),
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "international", "value_set": [True, False]},
            "meta": {"severity": "warn"},
        },
    ],
}
"""Ten expectations of one row."""


def model(seed: int) -> bytes:
    """UBJ bytes of 400 trees of depth 6 on seeded noise with a signal in it, carrier as a category; kept for the next run."""
    kept = KEPT / f"departures-{xgboost.__version__}-{seed}.ubj"
    if not kept.exists():
        KEPT.mkdir(exist_ok=True)
        new = kept.with_suffix(".new")
        new.write_bytes(_trained(seed))
        new.replace(kept)
    return kept.read_bytes()


def _trained(seed: int) -> bytes:
    noise = np.random.default_rng(seed)
    given = noise.normal(size=(ROWS, len(COLUMNS))).astype(np.float32)
    given[:, 0] = noise.integers(0, len(CARRIERS), ROWS)
    given[noise.random(given.shape) < 0.03] = np.nan
    known = np.nan_to_num(given)
    odds = known[:, 8] + known[:, 9] * known[:, 13] - np.abs(known[:, 23])
    labels = noise.random(ROWS) < 1 / (1 + np.exp(-odds))
    kinds = ["c"] + ["q"] * (len(COLUMNS) - 1)
    data = xgboost.DMatrix(given, labels, feature_names=list(COLUMNS), feature_types=kinds, enable_categorical=True)
    parameters = {"objective": "binary:logistic", "max_depth": 6, "eta": 0.1, "nthread": 1, "seed": seed}
    return bytes(xgboost.train(parameters, data, TREES).save_raw("ubj"))


def bundle(model_bytes: bytes, service: ServicePolicy | None = None, shadow_share: float = 0.0) -> Bundle:
    """A release whose features are in the online store."""
    files = {MODEL: model_bytes, REQUEST_FUNCTIONS: FUNCTIONS.encode(), "suites/request.json": json.dumps(SUITE).encode()}
    manifest = Manifest(
        use_case=USE_CASE,
        columns=COLUMNS,
        categories={"carrier": CARRIERS},
        calibrator=Calibrator(x=(0.0, 0.2, 0.5, 0.8, 1.0), y=(0.02, 0.15, 0.5, 0.85, 0.98)),
        threshold=0.4,
        plan=FeaturePlan(service=USE_CASE, request=REQUEST, views=VIEWS, functions=(CLOCK,)),
        entity=("carrier", "flight"),
        service=service or ServicePolicy(),
        request_suite="request",
        shadow_share=shadow_share,
        snapshot={},
        trained_from=AT - timedelta(days=90),
        trained_through=AT - timedelta(days=1),
        parameters={},
        metrics={},
        lineage={},
        files={name: sha256(content) for name, content in files.items()},
    )
    return Bundle(manifest, files)


def whole(model_bytes: bytes, service: ServicePolicy | None = None) -> Bundle:
    """The same model and checks for clients that send all 27 inputs themselves: no store, no functions."""
    stored = bundle(model_bytes, service)
    plan = FeaturePlan(service=USE_CASE, request={**REQUEST, **_STORED, **_MADE}, views=())
    return Bundle(replace(stored.manifest, plan=plan), stored.files)


def row(number: int, key: str | None = None) -> dict[str, Any]:
    """A request's row that breaks no rule; `number` is its entity's."""
    return {
        "key": key or f"departure-{number}",
        "event_timestamp": AT.isoformat().replace("+00:00", "Z"),
        "carrier": CARRIERS[number % len(CARRIERS)],
        "flight": number // len(CARRIERS) + 1,
        "airport": number % AIRPORTS,
        "aircraft": number % AIRCRAFT,
        "scheduled": 22_000_000 + number % 10_080,
        "distance": float(100 + number % 4_000),
        "seats": float(50 + number % 300),
        "international": number % 3 == 0,
    }


def whole_row(number: int) -> dict[str, Any]:
    """The same with all inputs."""
    numbers = np.random.default_rng(number).normal(size=len(_STORED))
    stored = dict(zip(_STORED, (round(float(one), 4) for one in numbers), strict=True))
    return {**row(number), **stored, "clock__hour": 12, "clock__weekday": 3, "clock__sine": 0.5, "clock__cosine": 0.8660254}


def body(given: Mapping[str, Any]) -> bytes:
    """JSON without a line break."""
    return json.dumps(given, separators=(",", ":")).encode()


def stored_rows() -> dict[str, list[tuple[Any, ...]]]:
    """By view what the online store holds: key, event time, created time, features."""
    noise, known = np.random.default_rng(7), AT - timedelta(hours=1)
    keys: dict[str, list[Any]] = {
        "by_carrier": list(CARRIERS),
        "by_airport": list(range(AIRPORTS)),
        "by_aircraft": list(range(AIRCRAFT)),
    }
    return {name: [(key, known, known, *_numbers(noise)) for key in found] for name, found in keys.items()}


def _numbers(noise: np.random.Generator) -> list[float]:
    values: npt.NDArray[np.float64] = noise.normal(size=len(FEATURES))
    return [float(value) for value in values]
