"""A small use case of its own, with real releases: what the service's tests run on."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import uvicorn
import xgboost

from everloop.adapters.features.stores.sql import create_table
from everloop.adapters.ledger import PostgresLedger
from everloop.adapters.releases import ReleaseFiles
from everloop.decide.policy import ServicePolicy
from everloop.decide.release.state import ReleaseState
from everloop.ports import Decision
from everloop.release import (
    MODEL,
    REQUEST_FUNCTIONS,
    Bundle,
    Calibrator,
    FeaturePlan,
    Manifest,
    PushPlan,
    RequestFunctionPlan,
    ViewPlan,
    sha256,
)
from everloop.serve.http.shedding import Shedding
from everloop.settings import Settings
from everloop.stack.ports import free_port
from everloop.steps.deciding import decide_and_append

USE_CASE = "trips"
AT = datetime(2013, 4, 1, 12, tzinfo=UTC)
CARRIERS = ("AA", "B6", "UA")

DELAYS = ViewPlan(
    name="delays",
    table="online.trips_delays",
    join_keys={"carrier": "string"},
    features={"rate": "float"},
    ttl_seconds=15 * 86400.0,
)
WEATHER = ViewPlan(
    name="weather",
    table="online.trips_weather",
    join_keys={"origin": "string"},
    features={"temp": "float", "wind": "float"},
    ttl_seconds=6 * 3600.0,
)
PUSH_WEATHER = PushPlan(
    view="weather",
    source="observations",
    sql="""
        SELECT origin, temp, wind * 2 AS wind, observed_at + INTERVAL 15 MINUTE AS event_timestamp, $end AS created
        FROM observations WHERE observed_at >= $start AND observed_at < $end
    """,
    columns={"origin": "string", "observed_at": "timestamp", "temp": "float", "wind": "float"},
)
FUNCTIONS = """
def clock(columns):
    return {"minute": [at.hour * 60 + at.minute if at else None for at in columns["departs"]]}
"""
PLAN = FeaturePlan(
    service="trips",
    request={"carrier": "string", "origin": "string", "departs": "timestamp", "distance": "float", "flight": "int"},
    views=(DELAYS, WEATHER),
    functions=(RequestFunctionPlan(name="clock", function="clock", inputs={"departs": "timestamp"}, features={"minute": "int"}),),
    pushes=(PUSH_WEATHER,),
)
COLUMNS = ("carrier", "distance", "delays__rate", "weather__temp", "weather__wind", "clock__minute")
SUITE = {
    "name": "request",
    "expectations": [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "carrier"}},
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "origin", "regex": "^[A-Z]{3}$"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "distance", "min_value": 0, "max_value": 9000}},
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "flight", "value_set": [1, 2]},
            "meta": {"severity": "warn"},
        },
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "distance", "min_value": 1, "max_value": 2}},
    ],
}


def row(key: str = "t1", **changes: Any) -> dict[str, Any]:
    """A request row that breaks no rule."""
    given = {"carrier": "AA", "origin": "JFK", "departs": "2013-04-01T14:30:00Z", "distance": 300.0, "flight": 1}
    return {"key": key, "event_timestamp": AT.isoformat(), **given, **changes}


def model(seed: int, columns: int = len(COLUMNS)) -> bytes:
    """UBJ bytes of a small booster, a categorical column first."""
    noise = np.random.default_rng(seed)
    x = noise.normal(size=(400, columns)).astype(np.float32)
    x[:, 0] = noise.integers(0, len(CARRIERS), 400)
    kinds = ["c"] + ["q"] * (columns - 1)
    names = [*COLUMNS, *(f"extra{i}" for i in range(columns))][:columns]
    data = xgboost.DMatrix(x, noise.random(400) < 0.4, feature_names=names, feature_types=kinds, enable_categorical=True)
    parameters = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1, "seed": seed}
    return bytes(xgboost.train(parameters, data, num_boost_round=20).save_raw("ubj"))


def bundle(
    seed: int = 1,
    *,
    functions: str = FUNCTIONS,
    suite: Mapping[str, Any] = SUITE,
    service: ServicePolicy | None = None,
    shadow_share: float = 1.0,
    columns: int = len(COLUMNS),
) -> Bundle:
    """A release; equal arguments give equal bytes."""
    files = {
        MODEL: model(seed, columns),
        REQUEST_FUNCTIONS: functions.encode(),
        "suites/request.json": json.dumps(suite).encode(),
    }
    manifest = Manifest(
        use_case=USE_CASE,
        columns=COLUMNS,
        categories={"carrier": CARRIERS},
        calibrator=Calibrator(x=(0.0, 1.0), y=(0.05, 0.95)),
        threshold=0.4,
        plan=PLAN,
        entity=("carrier", "flight"),
        service=service or ServicePolicy(),
        request_suite="request",
        shadow_share=shadow_share,
        snapshot={},
        trained_from=datetime(2013, 1, 1, tzinfo=UTC),
        trained_through=datetime(2013, 3, 1, tzinfo=UTC),
        parameters={"seed": seed},
        metrics={},
        lineage={},
        files={name: sha256(content) for name, content in files.items()},
    )
    return Bundle(manifest, files)


class World:
    """The systems around a scoring service: a database with online tables, a release store, the ledger."""

    def __init__(self, database: str, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.ledger = PostgresLedger(database)
        self.releases = ReleaseFiles(str(folder / "releases"))
        with psycopg.connect(database) as connection:
            for statement in [*create_table(DELAYS), *create_table(WEATHER)]:
                connection.execute(statement)
            connection.execute("INSERT INTO online.trips_delays VALUES ('AA', %s, %s, 0.3)", (AT, AT))

    def settings(self, **changes: Any) -> Settings:
        values = Settings(
            home=self.folder / "home",
            database=self.database,
            lake=str(self.folder / "lake"),
            landing=str(self.folder / "landing"),
            outbox="",
            releases=str(self.folder / "releases"),
            mlflow="http://127.0.0.1:1",
            scorer="http://127.0.0.1:1",
            feature_repo=self.folder,
            expectations=self.folder,
            data_docs=self.folder / "data_docs",
            connections={},
            engine="xgboost",
        )
        return replace(values, **changes)

    def publish(self, seed: int = 1, **changes: Any) -> str:
        return self.releases.put(bundle(seed, **changes))

    def decide(self, **state: Any) -> int:
        """Write a new state to the ledger."""
        decision = Decision(actor="test", action="forced", subject="x", after=ReleaseState(**state), reason="test")
        # A scorer may be telling the ledger of a release that does not load: whoever is second decides again.
        entry = decide_and_append(self.ledger, USE_CASE, lambda _: decision, datetime.now(UTC))
        assert entry is not None
        return entry.seq

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(sql, values).fetchall()


def wait_until(condition: Any, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.02)


@contextlib.contextmanager
def without(path: Path) -> Iterator[None]:
    """The folder away for a while."""
    away = path.with_name(path.name + ".away")
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


@contextlib.contextmanager
def behind_the_gate(application: Any) -> Iterator[int]:
    """The port at which an ASGI application is served as a worker serves ours. `application.gate` is its gate."""
    port = free_port()
    config = uvicorn.Config(
        application, port=port, loop="uvloop", http=Shedding, lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(10)
