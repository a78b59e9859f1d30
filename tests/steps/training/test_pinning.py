from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from everloop.decide.policy import TrainingPolicy
from everloop.errors import DataError
from everloop.interval import Interval
from everloop.steps.training import snapshot
from fakes.departures import DEPARTURES, FLIGHTS, START, WEEK
from fakes.lake import MemoryLake

ROWS = pa.table({"x": [1]})


def lake(weeks: int, *tables: str) -> MemoryLake:
    found = MemoryLake()
    for table in tables:
        for week in range(weeks):
            found.replace(table, ROWS, Interval(START + week * WEEK, START + (week + 1) * WEEK))
    return found


def test_every_table_that_may_be_learnt_from_is_pinned() -> None:
    found = snapshot(lake(2, "flights", "origin_delay", "flights_quarantine", "predictions"), DEPARTURES)
    assert found["versions"] == {"flights": 2, "origin_delay": 2}


def test_labels_reach_to_the_end_of_the_last_published_interval() -> None:
    found = snapshot(lake(3, "flights"), DEPARTURES)
    assert (found["start"], found["end"]) == (START.isoformat(), (START + 3 * WEEK).isoformat())


def test_the_slowest_source_decides_the_end() -> None:
    use_case = replace(DEPARTURES, sources=(FLIGHTS, replace(FLIGHTS, name="weather")))
    both = lake(2, "flights", "weather")
    both.replace("flights", ROWS, Interval(START + 2 * WEEK, START + 3 * WEEK))
    assert snapshot(both, use_case)["end"] == (START + 2 * WEEK).isoformat()


@pytest.mark.parametrize("days", [14, 20])
def test_through_takes_whole_intervals_that_ended_by_then(days: int) -> None:
    found = snapshot(lake(5, "flights"), DEPARTURES, through=START + timedelta(days=days))
    assert found["end"] == (START + 2 * WEEK).isoformat()


def test_the_window_is_counted_from_the_end_and_never_reaches_before_the_start() -> None:
    for window, start in ((WEEK, START + 2 * WEEK), (9 * WEEK, START)):
        use_case = replace(DEPARTURES, training=TrainingPolicy(window=window))
        assert snapshot(lake(3, "flights"), use_case)["start"] == start.isoformat()


def test_without_a_published_interval_there_is_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match='Table "flights" has no published interval: run departures_ingest first'):
        snapshot(MemoryLake(), DEPARTURES)
    with pytest.raises(DataError, match="that ended by 2013-01-03"):
        snapshot(lake(1, "flights"), DEPARTURES, through=datetime(2013, 1, 3, tzinfo=UTC))
