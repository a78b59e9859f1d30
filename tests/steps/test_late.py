"""Late and corrected rows: found, worked again until they reach the online store, and not more often than that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from everloop.errors import SourceError
from everloop.steps import late
from fakes.readings import DAY, DAYS, HOUR, NOW, QUIET, READINGS, START, TIDES, World, row


@pytest.fixture
def world() -> World:
    found = World()
    found.hold(row(1, 0), row(2, 1))
    return found


def test_an_interval_that_the_lake_lacks_is_pending_once(world: World) -> None:
    assert world.ingest() == DAYS[:2]
    assert world.pending() == []


def test_rows_that_were_stamped_before_they_were_read_are_not_late(world: World) -> None:
    world.source.change("readings", DAYS[0].start, NOW)
    world.source.change("readings", DAYS[1].start, NOW + HOUR - late.IN_FLIGHT / 2)
    assert world.ingest() == DAYS[:2]
    assert world.ingest() == []


def test_an_interval_in_which_a_row_arrived_late_is_worked_again_once(world: World) -> None:
    world.ingest()
    world.hold(row(1, 0, "5.0"), row(3, 0), row(2, 1))
    world.source.change("readings", DAYS[0].start + HOUR, world.now + timedelta(minutes=5))
    assert world.ingest() == DAYS[:1]
    assert world.levels() == {1: 5.0, 3: 1.0, 2: 1.0}
    assert world.pending() == []


def test_a_change_in_any_table_counts(world: World) -> None:
    world.ingest()
    world.source.change("quiet", DAYS[1].start, world.now + timedelta(minutes=5))
    assert world.ingest() == [DAYS[1]]


def test_a_change_in_an_interval_that_is_not_published_waits_for_it(world: World) -> None:
    world.ingest()
    world.source.change("readings", DAYS[2].start, world.now + timedelta(minutes=5))
    assert world.ingest() == []
    assert world.accounts.opened("tides") == {}


def test_a_row_whose_transaction_ran_while_it_was_read_is_found(world: World) -> None:
    world.ingest()
    world.source.change("readings", DAYS[0].start, world.now - late.IN_FLIGHT / 2)
    assert world.ingest() == DAYS[:1]
    assert world.ingest() == []


def test_a_run_that_died_after_its_plan_leaves_the_change_to_the_next_one(world: World) -> None:
    world.ingest()
    world.source.change("readings", DAYS[0].start, world.now + timedelta(minutes=5))
    world.now += HOUR
    assert world.pending() == DAYS[:1]
    world.now += HOUR
    assert world.ingest() == DAYS[:1]
    assert world.pending() == []


def test_a_run_that_died_between_the_lake_and_the_online_store_leaves_its_intervals_to_the_next_one(world: World) -> None:
    world.publish(world.pending())
    assert world.accounts.opened("tides").keys() == set(DAYS[:2])
    assert world.ingest() == DAYS[:2]
    assert world.pending() == []


def test_a_source_that_is_down_moves_no_cursor(world: World) -> None:
    world.ingest()
    before = world.measurements.cursor("tides", "changes:readings")
    world.source.down = True
    with pytest.raises(SourceError):
        world.pending()
    assert world.measurements.cursor("tides", "changes:readings") == before


def test_the_newest_intervals_are_read_again_where_the_source_cannot_tell() -> None:
    world = World(replace(TIDES, sources=(replace(READINGS, reread=1), QUIET)))
    world.hold(row(1, 0), row(2, 1))
    assert world.ingest() == DAYS[:2]
    assert world.ingest() == [DAYS[1]]


def test_what_was_published_before_accounts_were_kept_is_worked_again_for_later_changes_only(world: World) -> None:
    world.source.change("readings", DAYS[0].start, NOW - DAY)
    world.ingest()
    world.accounts._accounts.clear()
    assert world.ingest() == []
    world.source.change("readings", DAYS[0].start, world.now + timedelta(minutes=1))
    assert world.ingest() == DAYS[:1]


def test_data_time_is_the_wall_clock_but_in_a_world_that_is_played(world: World) -> None:
    assert late.data_time(world.source, TIDES, NOW) == NOW
    assert late.data_time(world.source, replace(TIDES, end=START + 4 * DAY), NOW) == START + 2 * DAY
    assert late.data_time(world.source, replace(TIDES, end=START + DAY), NOW) == START + DAY
