"""Runs of the whole retraining chain on real departures, each made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from everloop.decide.release.state import ReleaseState
from everloop.interval import Interval
from everloop.ports import Decision, Lake, Measurement
from everloop.steps import training
from everloop.use_case import UseCase
from fakes.cluster import MemoryCluster
from fakes.departures import DEPARTURES, checks, filled
from fakes.features import MemoryFeatures
from fakes.ledger import InMemoryLedger
from fakes.measurements import InMemoryMeasurements
from fakes.registry import InMemoryRegistry
from fakes.scorer import InMemoryScorer

COMMIT = "c0ffee"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
WEEK = Interval(datetime(2013, 3, 5, tzinfo=UTC), datetime(2013, 3, 12, tzinfo=UTC))

Told = tuple[dict[str, Any], dict[str, Any]]
"""What evaluate and register returned."""


@dataclass
class World:
    """The ports of one use case, and the folder that training processes work in."""

    lake: Lake
    features: MemoryFeatures
    ledger: InMemoryLedger
    registry: InMemoryRegistry
    work: Path
    use_case: UseCase = DEPARTURES
    measurements: InMemoryMeasurements = field(default_factory=InMemoryMeasurements)
    scorer: InMemoryScorer = field(default_factory=InMemoryScorer)
    cluster: MemoryCluster | None = None

    def prepared(self, run: str, through: datetime | None = None, *, drill: bool = False) -> dict[str, Any]:
        """Snapshot and training set."""
        snapshot = training.snapshot(self.lake, self.use_case, through=through)
        return training.training_set(self.lake, self.features, checks(), self.use_case, snapshot, run, drill=drill)

    def trained(self, run: str) -> dict[str, Any]:
        training.tune(self.lake, self.use_case, run, self.work / run)
        return training.train(self.lake, self.cluster, self.use_case, run, self.work / run)

    def registered(
        self, run: str, through: datetime | None = None, *, drill: bool = False
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The whole chain up to the gate."""
        self.prepared(run, through, drill=drill)
        self.trained(run)
        evaluation = training.evaluate(self.lake, self.registry, self.ledger, self.use_case, run)
        return evaluation, training.register(self.lake, self.registry, self.use_case, run, {"train": 1.0})

    def gate(self, evaluation: dict[str, Any], release: str, **options: Any) -> dict[str, Any]:
        return training.gate(
            self.ledger,
            self.registry,
            self.measurements,
            self.scorer,
            self.lake,
            self.use_case,
            evaluation,
            release,
            now=NOW,
            **options,
        )

    def replayed(self, release: str, verdict: str, because: str = "all rows have the features of history") -> None:
        """The monitor has held what `release` was served against history."""
        values = {"kind": "parity", "subject": "window", "value": 1.0, "detail": {"because": because}}
        measured = Measurement(interval=WEEK, release=release, verdict=verdict, **values)
        self.measurements.write(self.use_case.name, [measured])

    def crown(self, release: str) -> None:
        """Make `release` the champion, as a finished rollout would."""
        seq, _ = self.ledger.head(self.use_case.name)
        decision = Decision(actor="test", action="promoted", subject=release, after=ReleaseState(champion=release), reason="-")
        self.ledger.append(self.use_case.name, decision, expected=seq, at=NOW)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Five weeks of departures, nothing trained yet."""
    return World(*filled(5), InMemoryLedger(), InMemoryRegistry(), tmp_path)


@dataclass
class Story:
    """Two retrainings: a first release on six weeks, crowned, and a candidate on ten."""

    world: World
    first: Told
    second: Told
    drill: Told


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Made of one commit, whatever is committed while the tests run."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EVERLOOP_GIT_COMMIT", COMMIT)
        return told(tmp_path_factory)


def told(tmp_path_factory: pytest.TempPathFactory) -> Story:
    world = World(*filled(10), InMemoryLedger(), InMemoryRegistry(), tmp_path_factory.mktemp("work"))
    first = world.registered("first", datetime(2013, 2, 12, tzinfo=UTC))
    world.crown(first[1]["release"])
    world.replayed(first[1]["release"], "pass")
    return Story(world, first, world.registered("second"), world.registered("drill", drill=True))
