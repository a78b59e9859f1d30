"""The prediction log by days: made once, whoever makes them; never a lost row; gone when they are empty and old."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from everloop.adapters.database import SCHEMA, migrate
from everloop.adapters.partitions import DEFAULT, drop_empty, leaves
from everloop.adapters.traffic import PostgresTraffic
from everloop.interval import Interval
from fakes.traffic import prediction, ship

START = datetime(2013, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)

UNPARTITIONED = """
    DROP TABLE prediction;
    CREATE TABLE prediction (
        use_case text NOT NULL, request_id text NOT NULL, row_number int NOT NULL, key text NOT NULL, entity text NOT NULL,
        at timestamptz NOT NULL, as_of timestamptz NOT NULL, arm text NOT NULL, rollout text, release text NOT NULL,
        score double precision, decision boolean, shadow_release text, shadow_score double precision, features jsonb NOT NULL,
        flags text[] NOT NULL, error text, latency_ms real NOT NULL, PRIMARY KEY (use_case, request_id, row_number)
    );
    CREATE INDEX prediction_as_of ON prediction (use_case, as_of);
    CREATE INDEX prediction_entity ON prediction (use_case, entity);
    CREATE INDEX prediction_rollout ON prediction (use_case, rollout, at) WHERE rollout IS NOT NULL;
    CREATE INDEX prediction_key ON prediction (use_case, key);
"""
"""The table as it was in the version before."""


@pytest.fixture
def connection(everloop_database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(everloop_database, autocommit=True, options="-c timezone=UTC") as connection:
        yield connection


def place(connection: psycopg.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT tableoid::regclass::text, key FROM prediction ORDER BY key").fetchall()


def test_a_row_lies_in_the_partition_of_its_day_or_in_the_default_one(connection: psycopg.Connection, everloop_database: str):
    connection.execute("SELECT prediction_partition('2013-04-01'), prediction_partition('2013-04-01')")
    moments = {"a": START, "b": START + DAY - timedelta(microseconds=1), "c": START + DAY}
    ship(everloop_database, "flights", [prediction(name, at=at) for name, at in moments.items()])
    assert place(connection) == [("prediction_20130401", "a"), ("prediction_20130401", "b"), (DEFAULT, "c")]
    connection.execute("SELECT prediction_partition('2013-04-02')")
    assert place(connection)[2] == ("prediction_20130402", "c")
    assert leaves(connection) == ["prediction_20130401", "prediction_20130402", DEFAULT]


def test_days_are_those_of_utc_in_whatever_zone_the_session_is(connection: psycopg.Connection, everloop_database: str):
    connection.execute("SET timezone = 'America/New_York'")
    connection.execute("SELECT prediction_partition('2013-04-01')")
    ship(everloop_database, "flights", [prediction("a", at=START), prediction("b", at=START + timedelta(hours=23))])
    assert {leaf for leaf, _ in place(connection)} == {"prediction_20130401"}


def test_two_that_make_the_same_partition_both_succeed(everloop_database: str, connection: psycopg.Connection):
    def make(_: int) -> None:
        with psycopg.connect(everloop_database, autocommit=True) as own:
            for day in range(10):
                own.execute("SELECT prediction_partition(%s)", (START.date() + day * DAY,))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(4)))
    assert len(leaves(connection)) == 11


def test_an_earlier_versions_rows_are_moved_into_partitions_and_a_second_time_nothing_happens(
    connection: psycopg.Connection, everloop_database: str
):
    connection.execute(UNPARTITIONED)
    rows = [prediction(f"r{n}", at=START + n * DAY / 2, rollout="t", flags=["f"]) for n in range(6)]
    ship(everloop_database, "flights", rows)
    before = connection.execute("SELECT * FROM prediction ORDER BY key").fetchall()
    for _ in range(2):
        migrate(everloop_database)
        assert connection.execute("SELECT * FROM prediction ORDER BY key").fetchall() == before
        assert leaves(connection) == ["prediction_20130401", "prediction_20130402", "prediction_20130403", DEFAULT]
    # As a fresh database has it.
    indexes = "SELECT indexname FROM pg_indexes WHERE tablename = 'prediction' ORDER BY 1"
    assert [name for (name,) in connection.execute(indexes)] == [
        f"prediction_{name}" for name in ("as_of", "entity", "key", "pkey", "rollout")
    ]
    assert connection.execute("SELECT to_regclass('prediction_unpartitioned')").fetchone() == (None,)


def test_many_processes_may_migrate_at_once(connection: psycopg.Connection, everloop_database: str):
    connection.execute(UNPARTITIONED)
    ship(everloop_database, "flights", [prediction("a"), prediction("b")])
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: migrate(everloop_database), range(3)))
    assert len(place(connection)) == 2
    connection.execute(SCHEMA.read_bytes())


def test_partitions_that_retention_or_an_erasure_emptied_are_dropped_and_late_rows_still_find_a_place(
    connection: psycopg.Connection, everloop_database: str
):
    traffic = PostgresTraffic(everloop_database)
    yesterday = datetime.now(UTC).date() - DAY
    for day in (START.date(), START.date() + DAY, yesterday, datetime.now(UTC).date()):
        connection.execute("SELECT prediction_partition(%s)", (day,))
    ship(everloop_database, "flights", [prediction("old", at=START, as_of=START), prediction("default", at=START - 9 * DAY)])
    ship(everloop_database, "flights", [prediction("new", at=START + DAY, as_of=START + DAY)])
    assert traffic.expire("flights", START + DAY) == 2
    assert leaves(connection)[0] == "prediction_20130402"
    assert len(leaves(connection)) == 4
    traffic.erase("flights", ["UA|1|EWR"])
    assert drop_empty(connection) == ["prediction_20130402"]
    ship(everloop_database, "flights", [prediction("late", at=START)])
    assert place(connection) == [(DEFAULT, "late")]


FILL = """
    INSERT INTO prediction
    SELECT 'flights', md5(i::text), 0, 'k' || i, 'e' || i % 500, at, at, 'champion', 't' || i / 4000, 'r', 0.5, true, null, null,
        jsonb_build_object('pad', repeat(md5(i::text), 20)), '{}', null, 1.5
    FROM generate_series(0, 11999) i, LATERAL (SELECT '2013-04-01Z'::timestamptz + i * interval '1 minute' AS at) AS t
"""
SCANS = """
    SELECT sum(seq_scan)::int, sum(idx_scan)::int FROM pg_stat_user_tables
    WHERE relname LIKE 'prediction\\_2%' AND pg_stat_clear_snapshot() IS NOT NULL
"""


@pytest.fixture
def filled(connection: psycopg.Connection, everloop_database: str) -> psycopg.Connection:
    """Eight full days, and a third of one."""
    with psycopg.connect(everloop_database, autocommit=True) as own:
        for day in range(9):
            own.execute("SELECT prediction_partition(%s)", (START.date() + day * DAY,))
        own.execute(FILL)
        own.execute("INSERT INTO outcome SELECT 'flights', 'k' || i * 4000, true, now() FROM generate_series(0, 2) i")
        own.execute("VACUUM ANALYZE")
    return connection


QUERIES = {
    "since": (lambda traffic: traffic.since("flights", "t2", START + 8 * DAY + 0.3 * DAY).num_rows, 48),
    "served": (lambda traffic: traffic.served("flights", Interval(START, START + DAY / 24)).num_rows, 60),
    "keys": (lambda traffic: len(traffic.keys_without_outcome("flights", Interval(START, START + DAY / 24))), 59),
    "relabelled": (lambda traffic: len(traffic.relabelled("flights", datetime(2020, 1, 1, tzinfo=UTC), START, DAY)[0]), 3),
    "last_asked": (lambda traffic: traffic.last_asked("flights"), START + timedelta(minutes=11_999)),
    "erase": (lambda traffic: traffic.erase("flights", ["e7"]), 24),
}


@pytest.mark.parametrize("name", QUERIES)
def test_no_question_reads_a_partition_from_end_to_end(filled: psycopg.Connection, everloop_database: str, name: str):
    ask, expected = QUERIES[name]
    pause = "SELECT pg_sleep(0.3)"  # a backend tells its counts when it ends
    filled.execute(pause)
    before = filled.execute(SCANS).fetchone()
    assert ask(PostgresTraffic(everloop_database)) == expected
    filled.execute(pause)
    after = filled.execute(SCANS).fetchone()
    assert before is not None
    assert after is not None
    assert after[0] == before[0]
    assert after[1] > before[1]
    if name == "since":
        assert after[1] == before[1] + 1  # of the one day that the time leaves
