from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from everloop.decide.policy import TrainingPolicy
from everloop.errors import DataError
from everloop.interval import Interval
from everloop.steps.training.staging import staged_examples, staged_files
from everloop.use_case import Examples
from fakes.departures import START, WEEK, closed, filled
from fakes.ledger import InMemoryLedger
from fakes.registry import InMemoryRegistry
from steps.training.conftest import World


def odd_flight(**changes) -> pa.Table:
    """One flight of the first week that is not among the real ones."""
    row = closed(Interval(START, START + WEEK)).slice(0, 1).to_pylist()[0] | {"flight": 9_999_999} | changes
    return pa.Table.from_pylist([row], schema=closed(Interval(START, START + WEEK)).schema)


def world_with(tmp_path: Path, *flights: pa.Table) -> World:
    return World(*filled(5, *flights), InMemoryLedger(), InMemoryRegistry(), tmp_path)


def test_every_example_has_its_features_as_of_its_own_moment(world: World) -> None:
    found = world.prepared("run")
    rows = staged_examples(world.lake, "run")
    assert rows.num_rows == found["rows"] == sum(found["parts"].values())
    rates = world.lake.read("origin_delay").to_pylist()
    for row in rows.take(pa.array([10, 1_500, 3_000])).to_pylist():
        known = [r for r in rates if r["origin"] == row["origin"] and r["event_timestamp"] <= row["event_timestamp"]]
        latest = max(known, key=lambda r: r["event_timestamp"], default={"rate_7d": None})
        assert row["origin_delay__rate_7d"] == latest["rate_7d"]
        assert row["schedule__minute"] == row["scheduled_departure"].hour * 60 + row["scheduled_departure"].minute


def test_what_is_learnt_was_known_before_the_first_held_out_flight_was_asked_for(world: World) -> None:
    found = world.prepared("run")
    rows = staged_examples(world.lake, "run")
    learnt = rows.filter(pc.is_in(rows["part"], pa.array(["fit", "validation", "calibration"])))
    held_out = rows.filter(pc.equal(rows["part"], "holdout"))
    assert pc.max(learnt["label_time"]).as_py() == datetime.fromisoformat(found["trained_through"])
    assert datetime.fromisoformat(found["trained_through"]) < pc.min(held_out["event_timestamp"]).as_py()


def test_running_again_stages_the_same(world: World) -> None:
    assert world.prepared("one") == world.prepared("two")
    assert staged_examples(world.lake, "one").equals(staged_examples(world.lake, "two"))
    assert staged_files(world.lake, "one", "definition") == staged_files(world.lake, "two", "definition")


def test_the_parts_of_a_release_are_pinned_beside_the_rows(world: World) -> None:
    world.prepared("run")
    assert set(staged_files(world.lake, "run", "definition")) == {
        "definition.json",
        "inputs_alone.json",
        "request_functions.py",
        "suites/flights.json",
        "suites/training_set.json",
    }


def test_rows_that_break_a_quarantine_rule_are_left_out_and_counted(tmp_path: Path) -> None:
    world = world_with(tmp_path, odd_flight(distance=-1.0))
    found = world.prepared("run")
    assert found["left_out"] == 1
    assert -1.0 not in staged_examples(world.lake, "run")["distance"].to_pylist()
    assert "not_negative(distance) is broken by 1 of" in found["warnings"][0]


def test_a_blocking_failure_stops_the_run_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is_an_airport_of_new_york\(origin\) is broken by 1 of"):
        world_with(tmp_path, odd_flight(origin="BOS")).prepared("run")


def test_the_same_key_twice_is_refused(world: World) -> None:
    sql = world.use_case.examples.sql + " UNION ALL " + world.use_case.examples.sql
    world.use_case = replace(world.use_case, examples=Examples(sql=sql, tables=("flights",), suite="training_set"))
    with pytest.raises(DataError, match="rows whose key occurs before"):
        world.prepared("run")


def test_examples_without_a_label_time_are_refused(world: World) -> None:
    sql = "SELECT 'k' AS key, now() AS event_timestamp, true AS label FROM flights WHERE $start < $end"
    world.use_case = replace(world.use_case, examples=Examples(sql=sql, tables=("flights",), suite="training_set"))
    with pytest.raises(DataError, match=r"lack the columns \['label_time'\]"):
        world.prepared("run")


def asks(world: World, old: str, new: str, where: str = "true") -> None:
    """The world's examples, told in another way."""
    examples = world.use_case.examples
    assert old in examples.sql
    changed = f"SELECT * FROM ({examples.sql.replace(old, new)}) WHERE {where}"
    world.use_case = replace(world.use_case, examples=replace(examples, sql=changed))


LATE = "arrival_delay IS NULL OR arrival_delay >= 15"


def test_labels_of_three_classes_are_refused(world: World) -> None:
    asks(world, f"{LATE} AS label", "sign(arrival_delay)::INT AS label", "label IS NOT NULL")
    with pytest.raises(DataError, match="have the values -1: a label is true or false"):
        world.prepared("run")


def test_labels_as_1_and_0_give_the_same_training_set(world: World) -> None:
    as_booleans, rows = world.prepared("one"), staged_examples(world.lake, "one")
    asks(world, f"{LATE} AS label", f"({LATE})::INT AS label")
    assert world.prepared("two") == as_booleans
    assert staged_examples(world.lake, "two").equals(rows)


def test_labels_known_when_they_are_asked_for_are_refused(world: World) -> None:
    asks(world, "closed_at AS label_time", "scheduled_departure - INTERVAL 2 HOUR AS label_time")
    with pytest.raises(DataError, match=r"were known before they were asked for, in .* rows: key"):
        world.prepared("run")


@pytest.mark.parametrize("drill", [False, True])
def test_an_input_that_tells_the_label_without_an_error_is_refused_by_name(world: World, drill: bool) -> None:
    asks(world, "origin, dest,", f"origin, CASE WHEN {LATE} THEN 'late' ELSE 'not' END AS dest,")
    with pytest.raises(DataError, match=r"Inputs \['dest'\] of use case \"departures\" each tell the label of all .* without an"):
        world.prepared("run", drill=drill)


def test_what_each_input_says_alone_is_kept_beside_the_definition(world: World) -> None:
    world.prepared("run")
    alone = json.loads(staged_files(world.lake, "run", "definition")["inputs_alone.json"])
    assert set(alone) == {"carrier", "dest", "origin_delay__rate_7d", "schedule__minute", "schedule__distance"}
    values = [one["value"] for one in alone.values()]
    assert values == sorted(values, reverse=True)
    assert all(0.4 < value < 0.8 for value in values)


def test_a_drill_shuffles_what_is_learnt_and_leaves_what_is_held_out(world: World) -> None:
    assert world.prepared("drill", drill=True)["drill"] is True
    rows = staged_examples(world.lake, "drill")
    learnt, true, part = (rows[name].to_numpy(zero_copy_only=False) for name in ("label", "true_label", "part"))
    held_out = part == "holdout"
    assert np.array_equal(learnt[held_out], true[held_out])
    agreement = (learnt[~held_out] == true[~held_out]).mean()
    rate = true.mean()
    assert agreement == pytest.approx(rate**2 + (1 - rate) ** 2, abs=0.03)
    assert learnt[~held_out].sum() == true[~held_out].sum()


def test_too_few_labels_are_refused(world: World) -> None:
    world.use_case = replace(world.use_case, training=TrainingPolicy(minimum_rows=100_000))
    with pytest.raises(DataError, match=r"TrainingPolicy\.minimum_rows is 100000"):
        world.prepared("run")
