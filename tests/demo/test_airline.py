"""The airline's world: what arrives, when, and that it arrives once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from everloop.demo import airline, year
from everloop.interval import Interval
from fakes.s3 import make_bucket

BEGIN = datetime(2013, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
FIRST = Interval(BEGIN, BEGIN + WEEK)


def rows(uri: str, query: str) -> list[Any]:
    with psycopg.connect(uri) as connection:
        return connection.execute(query).fetchall()


def test_the_year_is_complete() -> None:
    flown = year.flights(BEGIN, BEGIN + timedelta(days=400))
    assert flown.num_rows == 336_776
    assert flown["arrival_delay"].null_count == 9_430
    assert year.observations(BEGIN, BEGIN + timedelta(days=400)).num_rows == 26_115


def test_flights_are_chosen_by_departure_or_by_outcome() -> None:
    day = timedelta(days=1)
    leaving = year.flights(BEGIN + day, BEGIN + 2 * day)
    closed = year.flights(BEGIN + day, BEGIN + 2 * day, by="closed_at")
    for found, column in ((leaving, "scheduled_departure"), (closed, "closed_at")):
        moments = found[column].to_pylist()
        assert moments == sorted(moments)
        assert all(BEGIN + day <= moment < BEGIN + 2 * day for moment in moments)


def test_no_outcome_is_known_before_departure_and_cancelled_flights_close_after_12_hours() -> None:
    for flight in year.flights(BEGIN, BEGIN + WEEK).to_pylist():
        waited = flight["closed_at"] - flight["scheduled_departure"]
        assert waited >= timedelta(0)
        assert flight["arrival_delay"] is not None or waited == timedelta(hours=12)


def test_a_week_arrives_with_rows_files_watermark_and_bell(database: str, tmp_path: Path) -> None:
    airline.create(database)
    with psycopg.connect(database, autocommit=True) as listener:
        listener.execute("LISTEN everloop_arrived")
        arrived = airline.arrive(database, str(tmp_path), FIRST)
        bell = next(iter(listener.notifies(timeout=5)))
    assert bell.payload == FIRST.end.isoformat()
    expected = year.flights(FIRST.start, FIRST.end, by="closed_at").num_rows
    assert arrived["flights"] == expected == rows(database, "SELECT count(*) FROM flights")[0][0]
    assert sorted(path.name for path in (tmp_path / "weather").iterdir()) == [f"2013-01-0{n}.csv" for n in range(1, 8)]
    header = (tmp_path / "weather/2013-01-01.csv").read_text().splitlines()[0]
    assert header == ",".join(year.WEATHER_COLUMNS)
    assert dict(rows(database, "TABLE everloop_watermark")) == {"flights": FIRST.end, "planes": FIRST.end}


def test_a_week_that_arrives_again_changes_nothing(database: str, tmp_path: Path) -> None:
    airline.create(database)
    airline.arrive(database, str(tmp_path), FIRST)
    before = (tmp_path / "weather/2013-01-03.csv").read_bytes()
    airline.create(database)
    assert airline.arrive(database, str(tmp_path), FIRST) == {"files": 7, "flights": 0, "planes": 0}
    assert (tmp_path / "weather/2013-01-03.csv").read_bytes() == before


def test_the_watermark_never_moves_back(database: str, tmp_path: Path) -> None:
    airline.create(database)
    airline.arrive(database, str(tmp_path), Interval(FIRST.end, FIRST.end + WEEK))
    airline.arrive(database, str(tmp_path), FIRST)
    assert dict(rows(database, "TABLE everloop_watermark"))["flights"] == FIRST.end + WEEK


def test_planes_are_registered_two_days_before_they_fly(database: str, tmp_path: Path) -> None:
    airline.create(database)
    second = Interval(FIRST.end, FIRST.end + WEEK)
    for week in (FIRST, second):
        airline.arrive(database, str(tmp_path), week)
    late = "SELECT count(*) FROM planes p JOIN flights f USING (tailnum) WHERE p.registered_at > f.scheduled_departure"
    assert rows(database, late) == [(0,)]
    waits = "SELECT min(f.scheduled_departure) - p.registered_at FROM planes p JOIN flights f USING (tailnum) WHERE p.registered_at > %s GROUP BY p.tailnum, p.registered_at"  # noqa: E501
    with psycopg.connect(database) as connection:
        assert {row[0] for row in connection.execute(waits, [FIRST.end])} == {timedelta(days=2)}


def test_files_may_go_to_s3(database: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    make_bucket(s3_server, "drops", monkeypatch)
    airline.create(database)
    airline.arrive(database, "s3://drops/in", FIRST, s3_server)
    listed = boto3.client("s3", endpoint_url=s3_server).list_objects_v2(Bucket="drops")["Contents"]
    assert [item["Key"] for item in listed] == [f"in/weather/2013-01-0{n}.csv" for n in range(1, 8)]
