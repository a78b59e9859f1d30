"""Batch scores: whose, of what, as of when, whatever the parts."""

from __future__ import annotations

import pyarrow as pa
import pytest

from everloop.errors import ConfigurationError, DataError
from everloop.release import Bundle
from everloop.steps.score import planning
from fakes.taxi import DAYS
from steps.score.conftest import World, score_rows

MANY = {"ann": [9.0] * 3, "bob": [1.0] * 4}


def test_scores_are_the_champions_with_features_as_of_the_request(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["new"])
    report = world.run()
    rows = {row["key"][:3]: row for row in world.predictions}
    assert (rows["ann"]["score"], rows["bob"]["score"]) == (0.15, 0.9)
    assert (rows["ann"]["decision"], rows["bob"]["decision"]) == (False, True)
    assert {row["release"] for row in rows.values()} == {ids["new"]}
    assert rows["ann"]["as_of"] == DAYS[1].start
    assert report == {"rows": 2, "positive": 1, "release": ids["new"], "version": 1}


def test_scoring_again_changes_nothing_and_another_champion_replaces(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["old"])
    first = world.run()
    assert world.run() == world.run(run="another") == first
    world.promote(ids["new"])
    world.run()
    assert {row["release"] for row in world.predictions} == {ids["new"]}


@pytest.mark.parametrize("part_rows", [1, 2, 3, 6, 7, 100])
def test_however_an_interval_is_divided_the_table_is_the_same(world: World, ids: dict[str, str], part_rows: int) -> None:
    world.promote(ids["new"])
    world.drive(**MANY)
    world.run()
    whole = world.predictions
    planned = world.in_parts(part_rows).plan()
    assert (planned["rows"], len(planned["parts"])) == (7, -(-7 // part_rows))
    assert world.run()["version"] == 1
    assert world.predictions == whole
    assert [row["key"] for row in whole] == sorted(row["key"] for row in whole)


def test_the_same_interval_gives_the_same_plan_and_other_data_or_another_champion_another(
    world: World, ids: dict[str, str]
) -> None:
    world.promote(ids["old"])
    first = world.plan()
    assert world.plan() == first
    world.promote(ids["new"])
    second = world.plan()
    world.drive(**MANY)
    third = world.plan()
    assert len({planned["place"] for planned in (first, second, third)}) == 3


def test_all_parts_are_scored_by_the_release_that_served_when_the_run_was_planned(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["old"])
    planned = world.in_parts(1).plan()
    world.score(planned["parts"][0])
    world.promote(ids["new"])
    world.score(planned["parts"][1])
    world.publish(planned)
    assert [row["release"] for row in world.predictions] == [ids["old"]] * 2


def test_rows_that_arrive_between_two_parts_wait_for_the_next_run(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["new"])
    planned = world.in_parts(1).plan()
    world.drive(0, ann=[0.0], bob=[0.0])
    world.drive(**MANY)
    for part in planned["parts"]:
        world.score(part)
    world.publish(planned)
    assert [row["score"] for row in world.predictions] == [0.15, 0.9]


def test_the_outcome_never_reaches_the_model(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["new"])
    seen: list[str] = []

    def spy(bundle: Bundle, rows: pa.Table) -> pa.Table:
        seen.extend(rows.column_names)
        return score_rows(bundle, rows)

    world.score(world.plan()["parts"][0], spy)
    assert not {"label", "label_time", "fare"} & set(seen)
    assert {"driver", "city"} <= set(seen)


def test_without_a_champion_nothing_is_written(world: World) -> None:
    planned = world.plan()
    assert (planned["release"], planned["parts"]) == (None, [])
    assert world.publish(planned) == {"rows": 0, "positive": 0, "release": None, "version": None}
    assert "predictions" not in world.lake.tables()


def test_an_interval_without_examples_replaces_what_stood_there_by_nothing(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["new"])
    world.run()
    world.drive()
    assert world.plan()["parts"] == []
    assert world.run()["rows"] == 0
    assert world.predictions == []
    assert DAYS[1].start in world.lake.intervals("predictions")


def test_an_interval_that_is_not_ingested_is_refused(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["new"])
    with pytest.raises(DataError, match="run taxi_ingest for it first"):
        world.plan(day=4)


def test_too_many_parts_are_refused_before_any_is_scored(
    world: World, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MAXIMUM_PARTS", 1)
    world.promote(ids["new"])
    with pytest.raises(ConfigurationError, match=r"raise BatchPolicy\.part_rows"):
        world.in_parts(1).plan()
