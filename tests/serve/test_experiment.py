"""An experiment in the real scorer: sticky arms of the planned size, the log that it is read from, a stop that is followed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from everloop.adapters.releases import ReleaseFiles
from everloop.adapters.scorer import HttpScorer
from everloop.adapters.traffic import PostgresTraffic
from everloop.decide.policy import ExperimentPlan, Metric, RolloutPolicy
from everloop.decide.release.state import ReleaseState
from everloop.interval import Interval
from everloop.steps import experiment
from everloop.use_case import Examples, UseCase
from fakes.lake import MemoryLake
from fakes.scorer import InMemoryScorer
from serve.conftest import Server
from serve.test_rollout import BROKEN, arms, rows
from serve.world import AT, USE_CASE, World, wait_until

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TRIPS = UseCase(
    name=USE_CASE,
    description="-",
    start=datetime(2013, 1, 1, tzinfo=UTC),
    interval=timedelta(days=1),
    sources=(),
    examples=Examples(
        tables=("trips",),
        suite="request",
        sql="SELECT key, carrier, origin, departs, distance, flight, departs AS event_timestamp, true AS label, "
        "departs AS label_time FROM trips WHERE departs >= $start AND departs < $end",
    ),
    feature_service="trips",
    entity=("carrier", "flight"),
    # How fast a busy machine answers is not the question here.
    rollout=RolloutPolicy(check_latency_ms=60_000, latency_floor_ms=60_000),
)


class Files:
    """The bytes of the releases alone: nobody reviews here."""

    def __init__(self, releases: ReleaseFiles) -> None:
        self.get = releases.get

    def mirror(self, use_case: str, state: ReleaseState) -> None:
        pass


def lake() -> MemoryLake:
    import pyarrow as pa

    made = MemoryLake()
    values = {"key": ["a"], "carrier": ["AA"], "origin": ["JFK"], "departs": [AT], "distance": [300.0], "flight": [1]}
    made.replace("trips", pa.table(values), Interval(AT, AT + timedelta(days=1)))
    return made


def start(world: World, control: str, treatment: str, scorer: Any) -> dict[str, Any]:
    plan = ExperimentPlan(name="ab", control=control, treatment=treatment, metric=Metric.SELECTION_RATE, effect=0.1, rows=500)
    ports: tuple[Any, ...] = (world.ledger, Files(world.releases), scorer, lake(), TRIPS)
    return experiment.start(*ports, plan, actor="ann", reason="try", now=NOW)


def look(world: World) -> dict[str, Any]:
    ports: tuple[Any, ...] = (world.ledger, PostgresTraffic(world.database), Files(world.releases), lake(), TRIPS)
    return experiment.look(*ports, now=NOW)


def logged(world: World, count: int) -> None:
    wait_until(lambda: world.rows("SELECT count(*) FROM prediction")[0][0] == count)


def test_entities_meet_one_arm_and_both_are_read_from_the_log(world: World, server: Server) -> None:
    control, treatment = world.publish(1), world.publish(2)
    begun = start(world, control, treatment, HttpScorer(server.url))
    assert begun["action"] == "experiment_started"
    server.follow(world.ledger.head(USE_CASE)[0])
    first, second = arms(server), arms(server)
    assert {key: found["release"] for key, found in first.items()} == {key: found["release"] for key, found in second.items()}
    assert {found["release"] for found in first.values()} == {control, treatment}
    logged(world, 120)
    standing = experiment.latest(world.ledger, USE_CASE)
    assert standing is not None
    ports: tuple[Any, ...] = (PostgresTraffic(world.database), Files(world.releases), lake(), TRIPS)
    found = experiment.read_again(*ports, standing)
    assert sum(found.overall.rows) == 120
    assert sum(found.overall.entities) == len({(row["carrier"], row["flight"]) for row in rows(60)})
    assert look(world)["action"] == "wait"
    assert experiment.stop(world.ledger, Files(world.releases), TRIPS, actor="ann", reason="enough", now=NOW)
    server.follow(world.ledger.head(USE_CASE)[0])
    assert {found["release"] for found in arms(server).values()} == {control}


def test_a_treatment_that_fails_is_refused_by_the_scorer_before_it_meets_anybody(world: World, server: Server) -> None:
    done = start(world, world.publish(1), world.publish(2, functions=BROKEN), HttpScorer(server.url))
    assert done["action"] == "refused"
    assert "no clock" in done["reason"]


def test_a_treatment_that_breaks_later_costs_nobody_an_answer_and_is_stopped(world: World, server: Server) -> None:
    control = world.publish(1)
    start(world, control, world.publish(2, functions=BROKEN), InMemoryScorer())
    server.follow(world.ledger.head(USE_CASE)[0])
    for _ in range(6):
        assert {found["release"] for found in arms(server).values()} == {control}
    logged(world, 360)
    done = look(world)
    assert done["action"] == "experiment_stopped"
    assert "errors in 100.00%" in done["reason"]
    server.follow(world.ledger.head(USE_CASE)[0])
    assert not any("challenger_failed" in found["flags"] for found in arms(server).values())
