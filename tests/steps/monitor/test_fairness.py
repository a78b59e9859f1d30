"""Groups of served loans: by a field of the request, and by a column that only the lake knows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from everloop.decide.policy import FairnessPolicy
from everloop.steps import monitor
from everloop.use_case import Examples
from steps.test_monitor import DAYS, USE_CASE, World

UNEQUAL = {"score": lambda i, p: 0.9 if i % 2 else 0.1}
BY_REGION = replace(
    USE_CASE,
    examples=Examples(
        sql="SELECT id AS key, late AS label, closed AS label_time, asked AS event_timestamp, "
        "CASE WHEN CAST(split_part(id, '-', 2) AS INT) % 2 = 0 THEN 'north' ELSE 'south' END AS region "
        "FROM loans WHERE closed >= $start AND closed < $end",
        tables=("loans",),
        suite="training_set",
    ),
    fairness=FairnessPolicy(columns=("region",), minimum=50, selection_difference=0.1),
)


@pytest.fixture
def world() -> World:
    return World()


def measured(world: World, column: str, day: int = 0):
    (found,) = [m for m in world.found("fairness", column) if m.interval == DAYS[day]]
    return found


def labelled(world: World, *days: int) -> None:
    monitor.outcomes(world.lake, world.traffic, USE_CASE, [DAYS[day] for day in days])


def test_a_group_that_is_decided_differently_fails_with_numbers_for_every_rate(world: World) -> None:
    world.serve(0, **UNEQUAL)
    world.run(0)
    found = measured(world, "bank")
    assert (found.verdict, found.value) == ("fail", pytest.approx(0.5))
    assert set(found.detail["gaps"]) == {"selection", "tpr", "fpr", "precision", "accuracy"}
    assert found.detail["summary"]["demographic_parity_difference"] == pytest.approx(1.0)
    assert found.detail["groups"]["A"]["rows"] == 200
    json.dumps(found.detail, allow_nan=False)


def test_a_column_that_requests_do_not_carry_is_read_from_the_lake_once_labels_are_there(world: World) -> None:
    world.serve(0, **UNEQUAL)
    world.fairness([DAYS[0]], BY_REGION)
    waiting = measured(world, "region")
    assert (waiting.verdict, waiting.detail["unknown"], waiting.detail["groups"]) == ("inconclusive", 400, {})
    labelled(world, 0)
    world.fairness([DAYS[0]], BY_REGION)
    found = measured(world, "region")
    assert (found.verdict, found.detail["unknown"]) == ("fail", 0)
    assert found.detail["groups"]["south"]["selected"] == 200


def test_labels_that_ripen_later_are_measured_when_they_come(world: World) -> None:
    world.serve(0, closes_after=timedelta(hours=30))
    world.publish(DAYS[0])
    world.fairness([DAYS[0]], BY_REGION)
    assert measured(world, "region").detail["unknown"] == 400
    labelled(world, 1)
    world.serve(2)
    world.fairness([DAYS[2]], BY_REGION)
    assert measured(world, "region").detail["unknown"] == 0


def test_an_interval_of_which_no_label_came_is_not_measured_again(world: World) -> None:
    for day in (0, 1):
        world.serve(day)
        labelled(world, day)
        world.fairness([DAYS[day]], BY_REGION)
    world.measurements.advance("loans", "monitor:fairness", measured_after(world))
    before = measured(world, "region")
    world.measurements.write("loans", [replace(before, value=0.123)])
    world.fairness([DAYS[1]], BY_REGION)
    assert measured(world, "region").value == 0.123


def measured_after(world: World):
    return world.measurements.cursor("loans", "monitor:fairness") + timedelta(days=1)


def test_without_group_columns_nothing_is_read_or_measured(world: World) -> None:
    world.serve(0)
    answer = world.fairness([DAYS[0]], replace(USE_CASE, fairness=FairnessPolicy()))
    assert answer["measurements"] == 0


def test_many_requests_of_few_entities_are_worth_few(world: World) -> None:
    # Each of 20 entities is asked of 20 times, and decided all alike.
    few = {"entity": lambda i, p: f"customer {i % 20}", "score": lambda i, p: 0.9 if i % 20 % 2 and i % 20 > 4 else 0.1}
    world.serve(0, **few)
    world.run(0)
    found = measured(world, "bank")
    assert found.verdict == "inconclusive"
    assert found.detail["groups"]["A"]["units"]["selection"]["units"] == 10
    assert "no two groups of bank have 50 independent rows" in found.detail["reasons"][0]["text"]
    world.serve(1, score=few["score"])
    world.run(1)
    assert measured(world, "bank", 1).verdict == "fail"


def test_what_small_groups_lack_is_told_in_weeks_of_the_interval(world: World) -> None:
    world.serve(0, rows=40)
    world.run(0)
    text = measured(world, "bank").detail["reasons"][0]["text"]
    assert text.startswith(
        "no two groups of bank have 50 independent rows to judge selection on: A 20, B 20 show a difference of"
    )
    assert text.endswith("50 of bank=A are wanted (1 week)")


def test_rows_of_no_group_are_counted_and_compared_unless_the_policy_leaves_them_out(world: World) -> None:
    world.serve(0, bank=["A", "B", None], score=lambda i, p: 0.9 if i % 3 == 2 else 0.1)
    world.run(0)
    assert measured(world, "bank").verdict == "fail"
    left_out = replace(USE_CASE, fairness=replace(USE_CASE.fairness, missing=False))
    world.fairness([DAYS[0]], left_out)
    found = measured(world, "bank")
    assert (found.verdict, found.value) == ("pass", 0)
    assert found.detail["groups"]["(missing)"]["rows"] == 133
