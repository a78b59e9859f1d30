"""An experiment from start to conclusion on the real ledger and the real prediction log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from everloop.adapters.ledger import PostgresLedger
from everloop.adapters.traffic import PostgresTraffic
from everloop.decide.policy import CostMatrix
from everloop.decide.release.state import Stage
from everloop.steps import experiment
from everloop.use_case import UseCase
from fakes.registry import InMemoryRegistry
from fakes.traffic import ship
from steps.experiment.conftest import SEGMENTS, World


@pytest.fixture
def world(
    use_case_with: Callable[..., UseCase], registry: InMemoryRegistry, ids: dict[str, str], everloop_database: str
) -> World:
    use_case = use_case_with(cost=CostMatrix(false_positive=1.0, false_negative=3.0), slices=SEGMENTS)
    made = World(use_case, registry, ids, PostgresTraffic(everloop_database), PostgresLedger(everloop_database))
    made.log = lambda rows: ship(everloop_database, "toys", rows)
    return made


def test_planned_started_watched_and_concluded(world: World) -> None:
    world.users(count=600)
    draft = world.plan(effect=0.25, segments=("size",), rows=0)
    design = experiment.size(world.traffic, world.registry, world.use_case, draft, days=7)
    world.wait(1).start(world.plan(effect=0.25, segments=("size",), rows=design.rows))
    assert world.users(count=400, better=0.2).look()["action"] == "wait"
    assert world.users(count=400, better=0.2).wait(8).look()["action"] == "experiment_concluded"
    row = world.ledger.entries("toys")[-1]
    assert (row.evidence["conclusion"], row.after.stage, row.after.champion) == ("better", Stage.IDLE, world.ids["old"])
    assert row.evidence["overall"]["rows"] == [a + b for a, b in zip(*rows_by_segment(row.evidence), strict=True)]
    assert world.ledger.verify("toys") is None
    standing = experiment.latest(world.ledger, "toys")
    assert standing is not None
    assert standing.ended == row
    assert "conclusion: better" in list(experiment.lines(standing, read_again(world, standing)))


def rows_by_segment(evidence: Any) -> list[list[int]]:
    return [segment["rows"] for segment in evidence["segments"]]


def read_again(world: World, standing: experiment.Standing) -> Any:
    return experiment.read_again(world.traffic, world.registry, world.lake, world.use_case, standing)


def test_two_looks_at_once_write_one_row(world: World) -> None:
    world.start()
    world.users(count=400, better=-0.3)
    assert [world.look()["action"] for _ in range(2)] == ["experiment_concluded", "wait"]
    assert world.actions.count("experiment_concluded") == 1
