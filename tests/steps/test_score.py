"""Batch scores: whose, of what, as of when, and where they end up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from everloop.decide.release.state import ReleaseState
from everloop.errors import ConfigurationError, DataError
from everloop.ports import Decision
from everloop.release import Bundle
from everloop.steps import score
from everloop.use_case import UseCase, WriteBack
from fakes.destination import MemoryDestination
from fakes.lake import MemoryLake
from fakes.ledger import InMemoryLedger
from fakes.registry import InMemoryRegistry
from fakes.taxi import DAYS, TAXI, memory_features, publish

WRITE_BACK = WriteBack(connection="shop", table="late_trips")


def score_rows(bundle: Bundle, rows: pa.Table) -> pa.Table:
    """A score that only features as of the right moment can give: the driver's mean fare, a hundredth of it."""
    scores = pc.divide(pc.fill_null(rows["driver_fares__mean_2d"], 0.0), 100.0)
    return pa.table({"score": scores, "decision": pc.greater_equal(scores, bundle.manifest.threshold)})


class World:
    """Two days of trips with features, and one release in the store."""

    def __init__(self, registry: InMemoryRegistry) -> None:
        self.lake, self.ledger, self.registry = MemoryLake(), InMemoryLedger(), registry
        self.features = memory_features(self.lake)
        self.features.apply()
        publish(self.lake, DAYS[0], {"ann": [10.0, 20.0], "bob": [90.0]})
        publish(self.lake, DAYS[1], {"ann": [999.0], "bob": [1.0]})
        for day in DAYS[:2]:
            self.features.compute(day)

    def promote(self, release: str) -> None:
        seq = self.ledger.head("taxi")[0]
        decision = Decision(actor="test", action="promoted", subject=release, after=ReleaseState(champion=release), reason="")
        self.ledger.append("taxi", decision, expected=seq, at=datetime(2026, 1, 1, tzinfo=UTC))

    def predict(self, day: int = 1) -> dict[str, Any]:
        return score.predict(self.lake, self.features, self.registry, self.ledger, TAXI, DAYS[day], score_rows)


@pytest.fixture
def world(registry: InMemoryRegistry) -> World:
    return World(registry)


def with_write_back() -> UseCase:
    return replace(TAXI, write_back=WRITE_BACK)


def test_scores_are_the_champions_with_features_as_of_the_request(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["new"])
    report = world.predict()
    rows = {row["key"][:3]: row for row in world.lake.read("predictions").to_pylist()}
    assert (rows["ann"]["score"], rows["bob"]["score"]) == (0.15, 0.9)
    assert (rows["ann"]["decision"], rows["bob"]["decision"]) == (False, True)
    assert {row["release"] for row in rows.values()} == {ids["new"]}
    assert rows["ann"]["as_of"] == DAYS[1].start
    assert report == {"rows": 2, "positive": 1, "release": ids["new"], "version": 1}


def test_scoring_again_changes_nothing_and_another_champion_replaces(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["old"])
    first = world.predict()
    assert world.predict() == first
    world.promote(ids["new"])
    world.predict()
    assert set(world.lake.read("predictions")["release"].to_pylist()) == {ids["new"]}


def test_the_outcome_never_reaches_the_model(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["new"])
    seen: list[str] = []

    def spy(bundle: Bundle, rows: pa.Table) -> pa.Table:
        seen.extend(rows.column_names)
        return score_rows(bundle, rows)

    score.predict(world.lake, world.features, world.registry, world.ledger, TAXI, DAYS[1], spy)
    assert not {"label", "label_time", "fare"} & set(seen)
    assert {"driver", "city"} <= set(seen)


def test_without_a_champion_nothing_is_written(world: World) -> None:
    assert world.predict()["release"] is None
    assert "predictions" not in world.lake.tables()


def test_an_interval_that_is_not_ingested_is_refused(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["new"])
    with pytest.raises(DataError, match="run taxi_ingest for it first"):
        world.predict(day=4)


def test_predictions_go_back_once_by_key(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["new"])
    world.predict()
    destination = MemoryDestination()
    for _ in range(2):
        assert score.write_back(world.lake, destination, with_write_back(), DAYS[1]) == {"rows": 2, "table": "late_trips"}
    assert destination.rows("shop", "late_trips") == world.lake.read("predictions").to_pylist()


def test_writing_back_before_any_prediction_writes_nothing(world: World) -> None:
    assert score.write_back(world.lake, MemoryDestination(), with_write_back(), DAYS[0])["rows"] == 0


def test_a_use_case_without_a_destination_is_told(world: World) -> None:
    with pytest.raises(ConfigurationError, match="has no write_back"):
        score.write_back(world.lake, MemoryDestination(), TAXI, DAYS[1])
