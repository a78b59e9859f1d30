from __future__ import annotations

from datetime import UTC, datetime

import pytest

from everloop.interval import Interval
from everloop.workflow import runs


@pytest.mark.parametrize(
    ("extras", "answer"),
    [
        ([], False),
        ([{"backfill": True}], True),
        ([{"backfill": True}, {"backfill": False}], False),
        ([{"payload": {"why": "notified"}}], False),
    ],
)
def test_only_events_that_all_come_of_backfills_make_a_run_a_backfill(extras: list[dict], answer: bool) -> None:
    assert runs.only_backfills(extras) is answer


def test_an_interval_is_asked_for_by_start_and_end_in_utc() -> None:
    week = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 8, tzinfo=UTC))
    assert runs.asked_interval({"start": "2013-01-01", "end": "2013-01-08T00:00:00+00:00"}) == week
    assert runs.asked_interval({"start": "2013-01-01", "end": None}) is None
    assert runs.asked_interval({}) is None


def test_a_run_name_is_fit_for_a_path_and_stays_the_same() -> None:
    name = runs.safe_name("scheduled__2013-01-01T00:00:00+00:00")
    assert name == "scheduled__2013-01-01T00_00_00_00_00"
    assert "/" not in runs.safe_name("a/b")


def test_intervals_travel_as_json() -> None:
    week = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 8, tzinfo=UTC))
    assert runs.from_json(runs.to_json([week])) == [week]
