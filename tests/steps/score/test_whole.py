"""Killed anywhere, run twice, beside what an earlier attempt left: no example is lost or scored twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from everloop.adapters.lake import DeltaLake
from everloop.errors import DataError
from everloop.release import Bundle
from everloop.use_case import Examples
from fakes.lake import MemoryLake
from fakes.registry import InMemoryRegistry
from steps.score.conftest import World, score_rows

SEVEN = {"ann": [9.0] * 3, "bob": [1.0] * 4}


class KilledError(Exception):
    """The task ends here."""


class Dying(MemoryLake):
    """A lake whose next writes are counted, and one of which kills the task: just before it, or just after."""

    left: float = float("inf")
    after = False

    def _may_die(self, write: Callable[[], Any]) -> Any:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise KilledError
        done = write()
        if self.left == 0:
            raise KilledError
        return done

    def stage(self, name: str, rows: pa.Table) -> None:
        self._may_die(lambda: MemoryLake.stage(self, name, rows))

    def replace(self, *given: Any) -> int:
        return int(self._may_die(lambda: MemoryLake.replace(self, *given)))

    def unstage(self, prefix: str) -> None:
        self._may_die(lambda: MemoryLake.unstage(self, prefix))


def retried(task: Callable[[], Any]) -> Any:
    """A task that is killed starts again, once."""
    try:
        return task()
    except KilledError:
        return task()


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after it"])
@pytest.mark.parametrize("write", [1, 2, 3, 6, 7, 8, 9, 13, 16])
def test_a_run_that_is_killed_at_any_write_ends_with_the_same_table(
    registry: InMemoryRegistry, ids: dict[str, str], write: int, after: bool
) -> None:
    lake = Dying()
    world = World(registry, lake).in_parts(2)
    world.promote(ids["old"])
    world.drive(**SEVEN)
    world.run(run="unharmed")
    whole = world.predictions
    world.drive(**SEVEN, cay=[3.0])
    world.promote(ids["new"])
    lake.left, lake.after = write, after
    planned = retried(world.plan)
    for part in planned["parts"]:
        retried(lambda part=part: world.score(part))
    report = retried(lambda: world.publish(planned))
    assert report == retried(lambda: world.publish(planned))
    assert (report["rows"], report["release"]) == (8, ids["new"])
    assert [row["key"] for row in world.predictions if row["key"][:3] != "cay"] == [row["key"] for row in whole]
    assert {row["release"] for row in world.predictions} == {ids["new"]}


def test_no_reader_sees_a_part_before_all_are_there(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["new"])
    planned = world.in_parts(1).plan()
    world.score(planned["parts"][0])
    with pytest.raises(DataError, match="Nothing is staged"):
        world.publish(planned)
    assert "predictions" not in world.lake.tables()


@pytest.mark.parametrize("change", ["champion", "boundaries", "rows"])
def test_what_a_task_of_an_earlier_attempt_still_writes_never_gets_in(world: World, ids: dict[str, str], change: str) -> None:
    world.promote(ids["old"])
    world.drive(**SEVEN)
    earlier = world.in_parts(3).plan()
    standing = [(name, rows) for name, rows in world.lake._staged.items()]
    if change == "champion":
        world.promote(ids["new"])
    elif change == "boundaries":
        world.in_parts(2)
    else:
        world.drive(**SEVEN, cay=[3.0])
    planned = world.plan()
    for part in planned["parts"]:
        world.score(part)
    for name, rows in standing:
        world.lake.stage(name, rows)
    for part in earlier["parts"]:
        world.score(part, lambda bundle, rows: pa.table({"score": [-1.0] * len(rows), "decision": [True] * len(rows)}))
    assert world.publish(planned)["rows"] == (8 if change == "rows" else 7)
    assert min(row["score"] for row in world.predictions) >= 0
    assert {row["release"] for row in world.predictions} == {ids["new" if change == "champion" else "old"]}


def test_scores_that_are_fewer_than_examples_are_refused(world: World, ids: dict[str, str]) -> None:
    def losing(bundle: Bundle, rows: pa.Table) -> pa.Table:
        return score_rows(bundle, rows.slice(1))

    world.promote(ids["new"])
    with pytest.raises(DataError, match="2 examples went in and 1 scores came out"):
        world.score(world.plan()["parts"][0], losing)


def staged(world: World, holding: str) -> str:
    [name] = [name for name in world.lake._staged if holding in name]
    return name


@pytest.mark.parametrize("spoil", [lambda rows: rows.slice(1), lambda rows: rows.take([1, 0]), lambda rows: rows.take([0, 0])])
def test_scores_that_are_not_one_for_each_example_are_not_published(world: World, ids: dict[str, str], spoil: Any) -> None:
    world.promote(ids["new"])
    planned = world.plan()
    world.score(planned["parts"][0])
    [name] = [name for name, rows in world.lake._staged.items() if "score" in rows.column_names]
    world.lake.stage(name, spoil(world.lake.staged(name)))
    with pytest.raises(DataError, match="rows would be lost"):
        world.publish(planned)
    assert "predictions" not in world.lake.tables()


def test_examples_other_than_those_planned_are_not_scored(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["new"])
    planned = world.plan()
    name = staged(world, "/examples/0")
    world.lake.stage(name, world.lake.staged(name).slice(1))
    with pytest.raises(DataError, match="other examples than were planned"):
        world.score(planned["parts"][0])


@pytest.mark.parametrize(("key", "told"), [("driver", "key occurs before"), ("nullif(driver, 'ann')", "have no key in 1 rows")])
@pytest.mark.parametrize("part_rows", [1, 100])
def test_examples_without_a_key_of_their_own_are_refused(
    world: World, ids: dict[str, str], key: str, told: str, part_rows: int
) -> None:
    world.promote(ids["new"])
    world.drive(ann=[1.0], bob=[1.0, 2.0])
    sql = world.use_case.examples.sql.replace("driver || ended_at AS key", f"{key} AS key")
    wrong = Examples(tables=("trips",), suite="training_set", sql=sql)
    world.use_case = replace(world.in_parts(part_rows).use_case, examples=wrong)
    with pytest.raises(DataError, match=told):
        world.plan()


def test_a_finished_run_leaves_its_plan_and_its_receipt_alone(world: World, ids: dict[str, str]) -> None:
    world.promote(ids["new"])
    planned = world.in_parts(1).plan()
    for part in planned["parts"]:
        world.score(part)
    world.publish(planned)
    assert sorted(world.lake._staged) == [f"{planned['place']}/plan", f"{planned['place']}/published"]


def test_the_same_on_a_delta_lake(registry: InMemoryRegistry, ids: dict[str, str], tmp_path: Path) -> None:
    world = World(registry, DeltaLake(str(tmp_path), held_rows=3)).in_parts(2)
    world.promote(ids["new"])
    world.drive(**SEVEN)
    first = world.run(run="scheduled__2013-01-02T00_00_00_00_00")
    assert (first["rows"], world.run()) == (7, first)
    assert len(world.predictions) == 7
    world.drive()
    assert world.run()["rows"] == 0
    assert world.predictions == []
