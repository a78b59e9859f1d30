"""Whole days of the prediction log: a contract held by PostgreSQL and by the fake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from everloop.adapters.answered import SCHEMA, PostgresAnswered
from everloop.ports import AnsweredDays
from everloop.serve.log.frames import rows, shadows
from everloop.serve.log.segment import PredictionLog
from everloop.serve.log.shipper import Shipper
from fakes.traffic import InMemoryTraffic, prediction, ship
from serve.log.records import record, shadow

START = datetime(2013, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST = START.date()

Log = Callable[..., None]


@pytest.fixture(params=["postgres", "memory"])
def answered(request: pytest.FixtureRequest) -> AnsweredDays:
    if request.param == "memory":
        return InMemoryTraffic()
    return PostgresAnswered(request.getfixturevalue("everloop_database"), batch_bytes=300)


@pytest.fixture
def log(answered: AnsweredDays, request: pytest.FixtureRequest) -> Log:
    def write(*given: Mapping[str, Any], use_case: str = "flights") -> None:
        if isinstance(answered, InMemoryTraffic):
            answered.log(use_case, given)
        else:
            ship(request.getfixturevalue("everloop_database"), use_case, given)

    return write


def test_a_day_holds_what_was_answered_from_midnight_to_midnight_utc_whatever_it_was_asked_of(answered: AnsweredDays, log: Log):
    moments = {"before": START - timedelta(microseconds=1), "first": START, "last": START + DAY - timedelta(microseconds=1)}
    every = [prediction(name, at=at, as_of=START + 9 * DAY, flags=["a,b"]) for name, at in moments.items()]
    log(*every, prediction("after", at=START + DAY))
    log(prediction("other", at=START), use_case="claims")
    rows = answered.rows("flights", FIRST)
    table = rows.to_table().sort_by("request_id")
    assert table.schema == SCHEMA
    assert table.to_pylist() == [{"row_number": 0} | one for one in every[1:]]
    assert rows.num_rows == 2


def test_days_with_answers_are_told_in_order_up_to_a_day(answered: AnsweredDays, log: Log):
    log(*[prediction(str(n), at=START + n * DAY / 4) for n in (12, 0, 4, 5)])
    assert answered.days("flights", FIRST + 3 * DAY) == [FIRST, FIRST + DAY]
    assert answered.days("claims", FIRST + 9 * DAY) == []


def test_a_day_without_answers_is_no_rows_with_all_columns(answered: AnsweredDays):
    rows = answered.rows("flights", FIRST)
    assert (rows.num_rows, rows.to_table().schema) == (0, SCHEMA)


def test_days_in_and_out_of_partitions_are_told_and_a_large_day_comes_in_batches(everloop_database: str):
    with psycopg.connect(everloop_database) as connection:
        for day in (FIRST, FIRST + DAY, FIRST + 2 * DAY):
            connection.execute("SELECT prediction_partition(%s)", (day,))
    answered = PostgresAnswered(everloop_database, batch_bytes=1000)
    ship(everloop_database, "flights", [prediction(str(n), at=START + n * timedelta(minutes=1)) for n in range(50)])
    ship(everloop_database, "flights", [prediction("x", at=START + 7 * DAY)])
    assert answered.days("flights", date(2030, 1, 1)) == [FIRST, FIRST + 7 * DAY]
    batches = list(answered.rows("flights", FIRST))
    assert len(batches) > 3
    assert sum(batch.num_rows for batch in batches) == 50


def test_rows_that_come_when_their_day_is_over_are_noted_until_that_is_settled(everloop_database: str, tmp_path: Path):
    answered, log = PostgresAnswered(everloop_database), PredictionLog(tmp_path)
    shipper, now = Shipper(tmp_path, everloop_database), datetime.now(UTC)
    log.append(rows([record(1, at=START), record(2, at=START + DAY), record(3, at=now), record(4, use_case="other", at=START)]))
    shipper.ship()
    first = answered.late("trips")
    assert first.keys() - {now.date()} == {FIRST, FIRST + DAY}
    answered.settle("trips", FIRST + DAY, first[FIRST + DAY])
    log.append(shadows([shadow(1, at=START)]))
    shipper.ship()
    answered.settle("trips", FIRST, first[FIRST])  # a shadow came since, so the day stays
    assert answered.late("trips").keys() - {now.date()} == {FIRST}
    assert answered.late("other").keys() == {FIRST}
