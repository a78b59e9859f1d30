"""The same rows in one batch and asked one by one: the same scores, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest

from everloop.decide.policy import BatchPolicy
from everloop.interval import Interval
from everloop.learn import scoring
from everloop.steps import score
from everloop.use_case import DroppedFiles, Examples, SourceTable, UseCase
from fakes.features import MemoryFeatures, MemoryView
from fakes.lake import MemoryLake
from serve.conftest import Server
from serve.world import AT, CARRIERS, DELAYS, FUNCTIONS, PLAN, WEATHER, World

HOUR, TIME = timedelta(hours=1), pa.timestamp("us", "UTC")
DAY = Interval(AT - 12 * HOUR, AT + 12 * HOUR)
ROWS = 150


def source(name: str, **columns: str) -> SourceTable:
    return SourceTable(
        name=name, source=DroppedFiles(pattern=f"{name}/%Y.csv"), columns=columns, key=("since",), event_time="since", suite=name
    )


TRIPS = UseCase(
    name="trips",
    description="Will it be late?",
    start=DAY.start,
    interval=timedelta(days=1),
    sources=(
        source("asked", key="string", since="timestamp", **PLAN.request),
        source("rates", carrier="string", rate="float", since="timestamp"),
        source("observed", origin="string", temp="float", wind="float", since="timestamp"),
    ),
    examples=Examples(
        tables=("asked",),
        suite="request",
        sql="""
            SELECT key, carrier, origin, departs, distance, flight, since AS event_timestamp, true AS label, since AS label_time
            FROM asked WHERE since >= $start AND since < $end
        """,
    ),
    feature_service="trips",
    entity=("carrier", "flight"),
    batch=BatchPolicy(part_rows=40),
)
SINCE = "since AS event_timestamp, since AS created FROM {} WHERE since >= $start AND since < $end"
VIEWS = (
    MemoryView(plan=DELAYS, sql=f"SELECT carrier, rate, {SINCE.format('rates')}", tables=("rates",)),
    MemoryView(plan=WEATHER, sql=f"SELECT origin, temp, wind, {SINCE.format('observed')}", tables=("observed",)),
)


def asked() -> pa.Table:
    """Requests with values that no decimal notation shortens, a carrier that the model never saw, an airport without weather."""
    noise = np.random.default_rng(5)
    return pa.table(
        {
            "key": [f"t{n:03}" for n in noise.permutation(ROWS)],
            "carrier": noise.choice([*CARRIERS, "ZZ"], ROWS),
            "origin": noise.choice(["JFK", "EWR", "XXX"], ROWS),
            "departs": pa.array([AT + int(minutes) * HOUR / 60 for minutes in noise.integers(0, 900, ROWS)], TIME),
            "distance": noise.uniform(0, 2, ROWS),
            "flight": noise.integers(1, 3, ROWS),
            "since": pa.array([AT + int(minutes) * HOUR / 60 for minutes in noise.integers(1, 600, ROWS)], TIME),
        }
    )


@pytest.fixture
def lake(world: World) -> MemoryLake:
    """The features of the day, the same in history and in the online store; the weather is stale from the sixth hour on."""
    lake = MemoryLake()
    lake.replace("asked", asked(), DAY)
    lake.replace(
        "rates", pa.table({"carrier": CARRIERS, "rate": [0.1 + 0.2, 1 / 3, 1e-9], "since": pa.array([AT] * 3, TIME)}), DAY
    )
    weather = {"origin": ["JFK", "EWR"], "temp": [0.1, None], "wind": [2 / 3, 17.0], "since": pa.array([AT] * 2, TIME)}
    lake.replace("observed", pa.table(weather), DAY)
    with psycopg.connect(world.database) as connection:
        connection.execute("DELETE FROM online.trips_delays")
        for carrier, rate in zip(CARRIERS, (0.1 + 0.2, 1 / 3, 1e-9), strict=True):
            connection.execute("INSERT INTO online.trips_delays VALUES (%s, %s, %s, %s)", (carrier, AT, AT, rate))
        for origin, temp, wind in (("JFK", 0.1, 2 / 3), ("EWR", None, 17.0)):
            connection.execute("INSERT INTO online.trips_weather VALUES (%s, %s, %s, %s, %s)", (origin, AT, AT, temp, wind))
    return lake


def batch(world: World, lake: MemoryLake) -> dict[str, Any]:
    """What the graph makes of the day, by key."""
    features = MemoryFeatures(TRIPS, lake, VIEWS, functions=PLAN.functions, source=FUNCTIONS)
    features.apply()
    features.compute(DAY)
    planned = score.plan(lake, world.ledger, TRIPS, DAY, "r")
    for part in planned["parts"]:
        score.score(lake, features, world.releases, part["place"], part["number"], scoring.score)
    score.publish(lake, planned["place"])
    return {row["key"]: (row["score"], row["decision"], row["release"]) for row in lake.read("predictions").to_pylist()}


def answers(server: Server) -> Iterator[dict[str, Any]]:
    """What the service answers: many rows in a request, and some alone."""
    rows = [
        {**row, "departs": row["departs"].isoformat(), "event_timestamp": since.isoformat()}
        for row, since in ((row, row.pop("since")) for row in asked().to_pylist())
    ]
    for body in ({"rows": rows}, *rows[:20]):
        answer = server.score(**body)
        assert answer.status_code == 200, answer.text
        yield from answer.json()["results"]


def test_a_batch_scores_and_decides_as_the_service_does_to_the_last_bit(world: World, server: Server, lake: MemoryLake) -> None:
    scored = batch(world, lake)
    answered = list(answers(server))
    assert len(scored) == ROWS
    assert len(answered) == ROWS + 20
    assert {row["key"] for row in answered} == set(scored)
    for row in answered:
        assert (row["score"], row["decision"], row["release"]) == scored[row["key"]]
    assert len({value for value, _, _ in scored.values()}) > 15
    assert {flag for row in answered for flag in row["flags"]} >= {"unknown_category:carrier", "missing:weather", "stale:weather"}
