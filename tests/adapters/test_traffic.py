"""The prediction log's contract, held by PostgreSQL and by the fake."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from everloop.adapters.database import connect
from everloop.adapters.traffic import SCHEMA, PostgresTraffic
from everloop.interval import Interval
from everloop.ports import TrafficLog
from fakes.traffic import InMemoryTraffic, prediction

START = datetime(2013, 4, 1, tzinfo=UTC)
WEEK = Interval(START, START + timedelta(days=7))
HOUR = timedelta(hours=1)

Log = Callable[..., None]


@pytest.fixture(params=["postgres", "memory"])
def traffic(request: pytest.FixtureRequest) -> TrafficLog:
    if request.param == "memory":
        return InMemoryTraffic()
    return PostgresTraffic(request.getfixturevalue("everloop_database"))


@pytest.fixture
def log(traffic: TrafficLog, request: pytest.FixtureRequest) -> Log:
    """Puts predictions where the scoring service would."""

    def write(*rows: Mapping[str, Any], use_case: str = "flights") -> None:
        if isinstance(traffic, InMemoryTraffic):
            return traffic.log(use_case, rows)
        with connect(request.getfixturevalue("everloop_database")) as connection:
            names = ["use_case", "row_number", *rows[0]]
            statement = f"INSERT INTO prediction ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"
            connection.cursor().executemany(statement, [(use_case, i, *row.values()) for i, row in enumerate(rows)])
        return None

    return write


def test_what_was_served_reads_back_with_its_outcome(traffic: TrafficLog, log: Log):
    full = prediction(
        "a",
        at=START + timedelta(microseconds=1),
        rollout="t1",
        shadow_release="r2",
        shadow_score=0.1 + 0.2,
        features='{"vector": {}, "request": {"origin": "E\\"W,R\\n"}}',
        flags=["missing:weather_hourly", 'odd"flag,'],
        error='line one\nline "two", ü',
    )
    bare = prediction("b", at=START + HOUR, score=None, decision=None, error="")
    log(full, bare)
    traffic.record_outcomes("flights", [("a", True, START + 3 * HOUR)])
    table = traffic.served("flights", WEEK)
    assert table.schema == SCHEMA
    assert table.to_pylist() == [
        full | {"label": True, "known_at": START + 3 * HOUR},
        bare | {"label": None, "known_at": None},
    ]


def test_nothing_served_is_an_empty_table_with_all_columns(traffic: TrafficLog):
    assert traffic.served("flights", WEEK).schema == SCHEMA
    assert traffic.since("flights", "t1", START).num_rows == 0
    assert traffic.keys_without_outcome("flights", WEEK) == []


def test_an_interval_holds_its_start_and_not_its_end_by_data_time(traffic: TrafficLog, log: Log):
    late = START + timedelta(days=900)
    moments = {"before": START - timedelta(microseconds=1), "first": START, "last": WEEK.end - HOUR, "after": WEEK.end}
    log(*[prediction(name, as_of=moment, at=late) for name, moment in moments.items()])
    assert sorted(traffic.served("flights", WEEK)["key"].to_pylist()) == ["first", "last"]
    assert traffic.keys_without_outcome("flights", WEEK) == ["first", "last"]


def test_a_rollout_is_read_by_wall_clock_from_a_moment_on_in_order(traffic: TrafficLog, log: Log):
    log(
        prediction("c", rollout="t1", at=START + 2 * HOUR),
        prediction("a", rollout="t1", at=START),
        prediction("b", rollout="t1", at=START + HOUR),
        prediction("d", rollout="t2", at=START + HOUR),
        prediction("e", at=START + HOUR),
    )
    assert traffic.since("flights", "t1", START + HOUR)["key"].to_pylist() == ["b", "c"]
    narrow = traffic.since("flights", "t1", START, ("score", "key", "label"))
    assert narrow.schema == pa.schema([SCHEMA.field(name) for name in ("score", "key", "label")])
    assert narrow["key"].to_pylist() == ["a", "b", "c"]
    assert traffic.since("flights", "t1", START, ("label",))["label"].to_pylist() == [None, None, None]


def test_request_fields_are_read_as_text(traffic: TrafficLog, log: Log):
    requests = ['{"request": {"carrier": "UA", "it\'s": 4}, "vector": {}}', '{"request": {"carrier": null}, "vector": {}}']
    log(*[prediction(str(n), rollout="t1", at=START, features=text) for n, text in enumerate(requests)])
    found = traffic.since("flights", "t1", START, ("key",), ("carrier", "it's"))
    assert found.to_pydict() == {"key": ["0", "1"], "request.carrier": ["UA", None], "request.it's": ["4", None]}


def test_use_cases_do_not_see_each_other(traffic: TrafficLog, log: Log):
    log(prediction("a"), use_case="claims")
    traffic.record_outcomes("claims", [("a", True, START)])
    assert traffic.served("flights", WEEK).num_rows == 0
    assert traffic.erase("flights", ["UA|1|EWR"]) == 0
    assert traffic.expire("flights", WEEK.end) == 0
    assert traffic.served("claims", WEEK).num_rows == 1


def test_labels_tell_what_is_known_of_some_keys(traffic: TrafficLog, log: Log):
    log(prediction("a"), prediction("b"), prediction("c"))
    traffic.record_outcomes("flights", [("a", True, START), ("b", False, START)])
    assert traffic.labels("flights", ["a", "b", "c"]) == {"a": True, "b": False}
    assert traffic.labels("flights", []) == traffic.labels("claims", ["a"]) == {}


def test_intervals_whose_outcomes_came_or_changed_are_told(traffic: TrafficLog, log: Log):
    week = timedelta(days=7)
    log(prediction("a"), prediction("b", as_of=START + week), prediction("c", as_of=START + week + HOUR))
    traffic.record_outcomes("flights", [("a", True, START)])
    none, first = traffic.relabelled("flights", None, START - week, week)
    traffic.record_outcomes("flights", [("b", True, START), ("c", True, START), ("unasked", True, START)])
    late, second = traffic.relabelled("flights", first, START - week, week)
    traffic.record_outcomes("flights", [("a", False, START + HOUR), ("b", True, START)])
    corrected, third = traffic.relabelled("flights", second, START - week, week)
    assert none == []
    assert late.count(START + week) == 1
    assert START in corrected
    assert first <= second <= third
    assert traffic.relabelled("flights", third + HOUR, START - week, week)[0] == []


def test_the_last_moment_that_was_asked_about_is_told(traffic: TrafficLog, log: Log):
    assert traffic.last_asked("flights") is None
    log(prediction("a", as_of=START + HOUR, at=START), prediction("b", at=START + HOUR))
    assert traffic.last_asked("flights") == START + HOUR


def test_the_outcome_known_last_wins_in_whatever_order_it_comes(traffic: TrafficLog, log: Log):
    log(prediction("a"), prediction("b"))
    assert traffic.record_outcomes("flights", [("a", True, START + HOUR)]) == 1
    assert traffic.record_outcomes("flights", [("a", False, START)]) == 0
    assert traffic.record_outcomes("flights", [("a", True, START + HOUR)]) == 0
    assert (
        traffic.record_outcomes("flights", [("b", True, START), ("b", False, START + HOUR), ("a", False, START + 2 * HOUR)]) == 2
    )
    assert traffic.record_outcomes("flights", []) == 0
    assert traffic.served("flights", WEEK).select(["key", "label", "known_at"]).to_pylist() == [
        {"key": "a", "label": False, "known_at": START + 2 * HOUR},
        {"key": "b", "label": False, "known_at": START + HOUR},
    ]


def test_an_outcome_may_come_before_its_prediction(traffic: TrafficLog, log: Log):
    traffic.record_outcomes("flights", [("a", True, START)])
    log(prediction("a"))
    assert traffic.served("flights", WEEK)["label"].to_pylist() == [True]
    assert traffic.keys_without_outcome("flights", WEEK) == []


def test_a_key_predicted_twice_is_missing_one_outcome(traffic: TrafficLog, log: Log):
    log(prediction("r1", key="a"), prediction("r2", key="a"))
    assert traffic.keys_without_outcome("flights", WEEK) == ["a"]


def test_erasing_an_entity_takes_its_predictions_and_outcomes(traffic: TrafficLog, log: Log):
    log(prediction("a", entity="ann"), prediction("b", entity="ann"), prediction("c", entity="bob"))
    traffic.record_outcomes("flights", [("a", True, START), ("c", True, START)])
    assert traffic.erase("flights", ["ann"]) == 2
    assert traffic.erase("flights", ["ann"]) == 0
    log(prediction("a2", key="a", entity="ann"))
    rows = traffic.served("flights", WEEK).select(["request_id", "label"]).to_pylist()
    assert rows == [{"request_id": "a2", "label": None}, {"request_id": "c", "label": True}]


def test_what_is_older_than_the_retention_goes(traffic: TrafficLog, log: Log):
    log(prediction("old", as_of=START), prediction("new", as_of=START + HOUR))
    traffic.record_outcomes("flights", [("old", True, START), ("new", True, START + HOUR)])
    assert traffic.expire("flights", START + HOUR) == 2
    assert traffic.expire("flights", START + HOUR) == 0
    assert traffic.served("flights", WEEK).select(["key", "label"]).to_pylist() == [{"key": "new", "label": True}]


def test_an_erasure_request_is_open_until_closed_and_then_forgets_whom_it_named(traffic: TrafficLog):
    first, second = traffic.request_erasure("flights", "ann", START), traffic.request_erasure("flights", "bob", START)
    other = traffic.request_erasure("claims", "eve", START)
    assert traffic.erasure_requests("flights") == {first: "ann", second: "bob"}
    traffic.close_erasures("flights", [first, other], START + HOUR)
    assert traffic.erasure_requests("flights") == {second: "bob"}
    assert traffic.erasure_requests("claims") == {other: "eve"}


def test_a_closed_erasure_request_keeps_no_name(everloop_database: str):
    traffic = PostgresTraffic(everloop_database)
    traffic.close_erasures("flights", [traffic.request_erasure("flights", "ann", START)], START + HOUR)
    with connect(everloop_database) as connection:
        assert connection.execute("SELECT entity, done_at FROM erasure_request").fetchall() == [(None, START + HOUR)]


def test_expiry_of_more_than_one_batch_takes_all(everloop_database: str):
    with connect(everloop_database) as connection:
        connection.execute("INSERT INTO outcome SELECT 'flights', i::text, true, '2013-01-01Z' FROM generate_series(1, 45000) i")
    assert PostgresTraffic(everloop_database).expire("flights", START) == 45_000
