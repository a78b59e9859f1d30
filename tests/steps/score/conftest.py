"""Two days of trips with features, and releases in the store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from everloop.decide.policy import BatchPolicy
from everloop.decide.release.state import ReleaseState
from everloop.ports import Decision, Lake
from everloop.release import Bundle
from everloop.steps import score
from fakes.lake import MemoryLake
from fakes.ledger import InMemoryLedger
from fakes.registry import InMemoryRegistry
from fakes.taxi import DAYS, TAXI, memory_features, publish

FARES = {"ann": [10.0, 20.0], "bob": [90.0]}


def score_rows(bundle: Bundle, rows: pa.Table) -> pa.Table:
    """A score that only features as of the right moment can give: the driver's mean fare, a hundredth of it."""
    scores = pc.divide(pc.fill_null(rows["driver_fares__mean_2d"], 0.0), 100.0)
    return pa.table({"score": scores, "decision": pc.greater_equal(scores, bundle.manifest.threshold)})


class World:
    """The first day's fares are the second day's features."""

    def __init__(self, registry: InMemoryRegistry, lake: Lake) -> None:
        self.lake, self.ledger, self.registry = lake, InMemoryLedger(), registry
        self.features = memory_features(lake)
        self.features.apply()
        self.use_case = TAXI
        publish(lake, DAYS[0], FARES)
        self.drive(ann=[999.0], bob=[1.0])

    def drive(self, day: int = 1, **fares: list[float]) -> None:
        publish(self.lake, DAYS[day], dict(fares))
        for each in DAYS[: day + 1]:
            self.features.compute(each)

    def in_parts(self, rows: int) -> World:
        self.use_case = replace(TAXI, batch=BatchPolicy(part_rows=rows))
        return self

    def promote(self, release: str) -> None:
        seq = self.ledger.head("taxi")[0]
        decision = Decision(actor="test", action="promoted", subject=release, after=ReleaseState(champion=release), reason="")
        self.ledger.append("taxi", decision, expected=seq, at=datetime(2026, 1, 1, tzinfo=UTC))

    def plan(self, day: int = 1, run: str = "r") -> dict[str, Any]:
        return score.plan(self.lake, self.ledger, self.use_case, DAYS[day], run)

    def score(self, part: dict[str, Any], by: score.ScoreRows = score_rows) -> dict[str, Any]:
        return score.score(self.lake, self.features, self.registry, part["place"], part["number"], by)

    def publish(self, planned: dict[str, Any]) -> dict[str, Any]:
        return score.publish(self.lake, planned["place"])

    def run(self, day: int = 1, run: str = "r") -> dict[str, Any]:
        """What the graph does; parts in any order."""
        planned = self.plan(day, run)
        for part in reversed(planned["parts"]):
            self.score(part)
        return self.publish(planned)

    @property
    def predictions(self) -> list[dict[str, Any]]:
        return self.lake.read("predictions").to_pylist()


@pytest.fixture
def world(registry: InMemoryRegistry) -> World:
    return World(registry, MemoryLake())
