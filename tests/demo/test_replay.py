"""The replay against a listener that remembers what it was sent, in which order."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from everloop.demo.replay import Replay, key_of, sampled
from everloop.demo.retries import AwayError
from everloop.interval import Interval
from everloop.use_case import DroppedFiles, Examples, SourceTable, UseCase

DAY = datetime(2013, 4, 2, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")
WEATHER = SourceTable(
    name="weather",
    source=DroppedFiles(pattern="weather/%Y-%m-%d.csv"),
    columns={"origin": "string", "observed_at": "timestamp", "temp": "float"},
    key=("origin", "observed_at"),
    event_time="observed_at",
    suite="weather",
)
USE_CASE = UseCase(
    name="flights",
    description="A test",
    start=DAY,
    interval=timedelta(days=1),
    sources=(WEATHER,),
    examples=Examples(sql="", tables=(), suite=""),
    feature_service="flights",
    entity=("carrier",),
)


class SmallWorld:
    """A flight and an observation at every hour of three days."""

    def __init__(self) -> None:
        hours = [DAY + timedelta(hours=n) for n in range(72)]
        self._flights = pa.Table.from_pylist(
            [
                {
                    "carrier": "AA", "flight": n, "tailnum": None, "origin": "JFK", "dest": "BOS", "scheduled_departure": hour,
                    "scheduled_arrival": 1200, "distance": 187.0, "arrival_delay": [None, -3.0, 15.0][n % 3],
                    "closed_at": hour + timedelta(hours=3),
                }
                for n, hour in enumerate(hours)
            ],
            pa.schema(
                {
                    "carrier": pa.string(), "flight": pa.int64(), "tailnum": pa.string(), "origin": pa.string(),
                    "dest": pa.string(),
                    "scheduled_departure": TIME, "scheduled_arrival": pa.int64(), "distance": pa.float64(),
                    "arrival_delay": pa.float64(), "closed_at": TIME,
                }
            ),
        )  # fmt: skip
        self._weather = pa.table(
            {"origin": ["JFK"] * 72, "observed_at": pa.array(hours, TIME), "temp": [50.0] * 72, "unknown": [1] * 72}
        )

    def flights(self, start: datetime, end: datetime, by: str = "scheduled_departure") -> pa.Table:
        return _between(self._flights, by, start, end)

    def observations(self, start: datetime, end: datetime) -> pa.Table:
        return _between(self._weather, "observed_at", start, end)


def _between(table: pa.Table, by: str, start: datetime, end: datetime) -> pa.Table:
    return table.filter((pc.field(by) >= pa.scalar(start, TIME)) & (pc.field(by) < pa.scalar(end, TIME)))


class Listener:
    """Answers like the service, remembers all, and fails where it is told to."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.failing: dict[str, list[int]] = {}
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                route = self.path.removeprefix("/v1/flights/")
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                listener.heard.append((route, body))
                statuses = listener.failing.get(route)
                status = statuses.pop(0) if statuses else 200
                count = len(next(iter(body.values())))
                answer = {"errors": ["no"]} if status != 200 else {"results": [], "accepted": count, "written": count}
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def sent(self, route: str, field: str) -> list[dict[str, Any]]:
        return [row for heard, body in self.heard if heard == route for row in body[field]]


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def day(n: int) -> Interval:
    return Interval(DAY + timedelta(days=n), DAY + timedelta(days=n + 1))


def replay(listener: Listener, share: float = 1.0, **options: Any) -> Replay:
    return Replay(listener.url, None, USE_CASE, share, world=SmallWorld(), pause=0, **options)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_everything_comes_in_the_order_of_the_world(listener: Listener) -> None:
    report = replay(listener).play(day(0))
    public = DAY - timedelta(days=1)
    for route, body in listener.heard:
        if route == "push/weather_hourly":
            public = max(public, *(moment(row["observed_at"]) + timedelta(minutes=15) for row in body["rows"]))
        if route == "score":
            asked = [moment(row["event_timestamp"]) for row in body["rows"]]
            assert asked == sorted(asked)
            assert all(timedelta(0) <= at - public < timedelta(hours=1) for at in asked if at >= DAY + timedelta(hours=1))
    assert (report.rows, report.pushed, report.failures) == (24, 24, [])
    assert {"p50", "p95", "p99"} == set(report.latency_ms)


def test_a_row_is_the_question_two_hours_ahead_under_the_examples_key(listener: Listener) -> None:
    replay(listener).play(day(0))
    first = listener.sent("score", "rows")[0]
    assert (first["key"], first["event_timestamp"]) == ("AA-2-JFK-20130402T0200", "2013-04-02T00:00:00Z")
    assert set(first) == {
        "key", "event_timestamp", "carrier", "flight", "tailnum", "origin", "dest", "scheduled_departure", "scheduled_arrival",
        "distance",
    }  # fmt: skip
    assert set(listener.sent("push/weather_hourly", "rows")[0]) == {"origin", "observed_at", "temp"}


def test_outcomes_come_when_they_are_known_and_the_rest_in_the_next_interval(listener: Listener) -> None:
    world = replay(listener)
    reports = [world.play(day(n)) for n in range(2)]
    asked = {row["key"] for row in listener.sent("score", "rows")}
    told = listener.sent("outcomes", "outcomes")
    assert [moment(o["known_at"]) for o in told] == sorted(moment(o["known_at"]) for o in told)
    assert [report.outcomes for report in reports] == [19, 24]
    assert {o["key"] for o in told} < asked
    labels = {o["key"]: o["label"] for o in told}
    expected = {"AA-3-JFK-20130402T0300": True, "AA-4-JFK-20130402T0400": False, "AA-5-JFK-20130402T0500": True}
    assert {key: labels[key] for key in expected} == expected


def test_outcomes_survive_the_process_that_waited_for_them(listener: Listener, tmp_path: Path) -> None:
    replay(listener, memory=tmp_path / "awaited.json").play(day(0))
    assert replay(listener, memory=tmp_path / "awaited.json").play(day(1)).outcomes == 24


def test_the_sample_is_the_same_every_time_and_grows_with_the_share(listener: Listener) -> None:
    replay(listener, 0.3).play(day(0))
    once = {row["key"] for row in listener.sent("score", "rows")}
    replay(listener, 0.3).play(day(0))
    assert {row["key"] for row in listener.sent("score", "rows")} == once
    replay(listener, 0.6).play(day(0))
    assert {row["key"] for row in listener.sent("score", "rows")} > once


def test_consecutive_pushes_go_in_one_request_when_nobody_asks_between(listener: Listener) -> None:
    replay(listener, 0.0).play(day(0))
    assert [route for route, _ in listener.heard] == ["push/weather_hourly"]


def test_a_refused_request_is_told_with_its_body_is_not_sent_again_and_gets_no_outcome(listener: Listener) -> None:
    listener.failing = {"score": [422] * 24}
    report = replay(listener).play(day(0))
    assert report.rows == report.outcomes == 0
    assert (len(report.refused), report.by_status["422"], report.interrupted) == (24, 24, 0)
    assert (report.refused[0].route, report.refused[0].status, report.refused[0].body) == ("score", 422, '{"errors": ["no"]}')


def test_what_meets_a_failing_service_is_sent_again_until_it_is_answered(listener: Listener) -> None:
    listener.failing = {"score": [500, 503, 429], "outcomes": [500], "push/weather_hourly": [502]}
    report = replay(listener).play(day(0))
    assert (report.rows, report.outcomes, report.pushed) == (24, 19, 24)
    assert (report.refused, report.interrupted) == ([], 5)
    assert [failure.status for failure in report.failures if failure.route == "score"] == [500, 503, 429]
    keys = [row["key"] for row in listener.sent("score", "rows")]
    assert len(set(keys)) == 24
    assert len(keys) == 27


def test_a_service_that_never_answers_ends_the_replay_with_its_address(listener: Listener) -> None:
    said: list[str] = []
    gone = Replay("http://127.0.0.1:9", None, USE_CASE, 1.0, world=SmallWorld(), patience=0.1, pause=0, say=said.append)
    with pytest.raises(AwayError, match=r"The scoring service at http://127\.0\.0\.1:9/v1/flights failed to answer"):
        gone.play(day(0))
    assert len(said) == 1


def test_key_is_the_one_of_the_examples_sql() -> None:
    import duckdb

    from everloop.settings import PROJECT

    text = (PROJECT / "dags" / "flights.py").read_text()
    expression = text[text.index("carrier || '-'") : text.index(" AS key")]
    flights = SmallWorld().flights(DAY, DAY + timedelta(days=1))
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("flights", flights)
    found = [key for (key,) in connection.execute(f"SELECT {expression} FROM flights").fetchall()]
    assert found == [key_of(flight) for flight in flights.to_pylist()]
    assert sampled(found[0], 1.0)
    assert not sampled(found[0], 0.0)
