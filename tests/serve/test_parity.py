"""Flights through the real scorer, replayed through the real lake: sound features pass, a spoilt function stops the rollout."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from benchmarks.world import flights, published
from everloop.adapters.features import FeastFeatures
from everloop.adapters.lake import DeltaLake
from everloop.adapters.measurements import PostgresMeasurements
from everloop.adapters.traffic import PostgresTraffic
from everloop.decide.release.state import ReleaseState, Stage
from everloop.demo import year
from everloop.demo.replay import AHEAD, request_of
from everloop.interval import Interval, grid
from everloop.ports import Decision
from everloop.settings import PROJECT
from everloop.steps import parity, rollout
from fakes.flights_release import an_hour_off, bundle
from fakes.registry import InMemoryRegistry
from fakes.scorer import InMemoryScorer
from serve.conftest import Server
from serve.world import World, wait_until

FLIGHTS = flights()
WEEKS = list(grid(FLIGHTS.start, FLIGHTS.interval, FLIGHTS.start + 2 * FLIGHTS.interval))
ASKED = WEEKS[1]
ROWS = 120


class Flights:
    """The flights behind a scoring service of which one week is history; requests of the next one are asked."""

    def __init__(self, world: World, serve: Callable[..., Server]) -> None:
        self.world, self.lake = world, DeltaLake(str(world.folder / "lake"))
        self.features = FeastFeatures(PROJECT / "feature_repo", FLIGHTS, self.lake, world.database)
        published(self.lake, FLIGHTS, Interval(WEEKS[0].start, WEEKS[1].end))
        self.features.apply()
        for week in WEEKS:
            self.features.compute(week)
        self.features.materialize(WEEKS[0])
        self.traffic, self.measurements = PostgresTraffic(world.database), PostgresMeasurements(world.database)
        plan, functions = self.features.plan(), self.features.request_functions()
        self.sound = bundle(FLIGHTS, plan, functions.encode(), 1)
        self.skewed = bundle(FLIGHTS, plan, an_hour_off(functions).encode(), 2)
        for release in (self.sound, self.skewed):
            world.releases.put(release)
        self.asked = 0
        self.serve(champion=self.sound.id)
        self.server = serve(releases=str(world.folder / "releases"))

    def serve(self, **state: Any) -> int:
        seq, _ = self.world.ledger.head("flights")
        decision = Decision(actor="test", action="promoted", subject="x", after=ReleaseState(**state), reason="test")
        return self.world.ledger.append("flights", decision, expected=seq, at=datetime.now(UTC)).seq

    def follow(self, seq: int) -> None:
        follower = self.server.parts.follower
        wait_until(lambda: (serving := follower.serving("flights")) is not None and serving.seq == seq)

    def ask(self) -> None:
        """Weather as it is published until noon of the week's first day, then flights of that noon; all into the log."""
        noon = ASKED.start.replace(hour=12)
        seen = year.observations(ASKED.start, noon).to_pylist()
        self._post("push/weather_hourly", {"rows": seen})
        due = year.flights(noon + AHEAD, WEEKS[1].end).slice(0, ROWS).to_pylist()
        self._post("score", {"rows": [request_of(flight) | {"event_timestamp": noon} for flight in due]})
        self.asked += ROWS
        wait_until(lambda: self.traffic.served("flights", ASKED).num_rows == self.asked)

    def measured(self) -> dict[str, Any]:
        """The monitor's step, by release."""
        parity.measure(self.traffic, self.features, self.measurements, FLIGHTS, [ASKED])
        return {found.release: found for found in self.measurements.read("flights", kind=parity.KIND)}

    def look(self) -> dict[str, Any]:
        """The rollout's step."""
        registry = InMemoryRegistry(self.sound, self.skewed)
        ports = (self.world.ledger, self.traffic, registry, InMemoryScorer(), self.lake, self.measurements)
        return rollout.step(*ports, FLIGHTS, now=datetime.now(UTC))

    def _post(self, route: str, body: dict[str, Any]) -> None:
        answer = self.server.client.post(f"/v1/flights/{route}", content=msgspec.json.encode(body))
        assert answer.is_success, answer.text


@pytest.fixture
def asked(world: World, serve: Callable[..., Server]) -> Flights:
    return Flights(world, serve)


def test_a_challenger_whose_function_is_an_hour_off_at_serving_goes_back_by_the_features_name(asked: Flights) -> None:
    asked.ask()
    sound = asked.measured()[asked.sound.id]
    assert (sound.value, sound.verdict, sound.detail["rows"]) == (1.0, "pass", ROWS)
    assert sound.detail["statuses"]["fresh"]["rows"] > ROWS
    assert sound.detail["statuses"]["absent"]["rows"] > 0
    trial = {"champion": asked.sound.id, "challenger": asked.skewed.id, "rollout": "t1", "since": datetime.now(UTC)}
    asked.follow(asked.serve(**trial, stage=Stage.CANARY, weight=1.0))
    asked.ask()
    skewed = asked.measured()[asked.skewed.id]
    assert (skewed.value, skewed.verdict) == (0.0, "fail")
    assert skewed.detail["differing"]["schedule__departure_minute"] == ROWS
    logged = asked.traffic.served("flights", ASKED)
    assert {row["request_id"] for row in skewed.detail["worst"]} <= set(logged["request_id"].to_pylist())
    found = next(d for d in skewed.detail["worst"][0]["differences"] if d["feature"] == "schedule__departure_minute")
    assert found["replayed"] - found["served"] in (60, 60 - 24 * 60)
    acted = asked.look()
    assert (acted["action"], acted["champion"], acted["challenger"]) == ("rolled_back", asked.sound.id, None)
    assert "schedule__departure_minute differs in 120" in acted["reason"]
