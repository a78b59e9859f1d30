"""`everloop ab` from plan to stop, on a real ledger, log, lake and release store; the scorer is a stub that answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cli.conftest import Run
from everloop.adapters.lake import DeltaLake
from everloop.adapters.ledger import PostgresLedger
from everloop.adapters.releases import ReleaseFiles
from everloop.adapters.traffic import PostgresTraffic
from everloop.decide.release.state import ReleaseState, Stage
from everloop.errors import ConfigurationError, DataError, ReleaseError
from everloop.interval import Interval
from everloop.ports import Decision
from everloop.release import Bundle, FeaturePlan
from fakes.traffic import prediction, ship
from steps.conftest import toy_bundle

WEEK = Interval(datetime(2013, 4, 2, tzinfo=UTC), datetime(2013, 4, 9, tzinfo=UTC))


class Answers(BaseHTTPRequestHandler):
    """Scores every row 0.5."""

    def do_POST(self) -> None:
        rows = json.loads(self.rfile.read(int(self.headers["content-length"])))["rows"]
        content = json.dumps({"scores": [0.5] * len(rows), "latency_ms": 1.0}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *told: object) -> None:
        pass


@pytest.fixture
def scorer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("EVERLOOP_SCORER", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


@pytest.fixture
def releases(everloop_database: str, tmp_path: Path) -> tuple[str, str]:
    """Two releases of the flights: the first serves, the second was on trial."""
    store = ReleaseFiles(str(tmp_path / "releases"))
    first, second = (store.put(flights_bundle(month)) for month in (3, 4))
    states = (ReleaseState(champion=first, challenger=second, rollout="r1", stage=Stage.CHECK), ReleaseState(champion=first))
    for number, state in enumerate(states):
        row = Decision(actor="tests", action="set", subject=first, after=state, reason="-")
        PostgresLedger(everloop_database).append("flights", row, expected=number, at=WEEK.end)
    return first, second


def flights_bundle(month: int) -> Bundle:
    made = toy_bundle(datetime(2013, month, 28, tzinfo=UTC), use_case="flights")
    plan = FeaturePlan(service="flights", request={"carrier": "string"}, views=())
    return Bundle(replace(made.manifest, plan=plan), made.files)


@pytest.fixture
def traffic(everloop_database: str, releases: tuple[str, str], tmp_path: Path) -> None:
    """Six hundred answered requests of a week with labels, and a lake that holds a flight."""
    random, control = np.random.default_rng(5), releases[0]
    moments = [WEEK.start + timedelta(minutes=10 * i) for i in range(600)]
    rows = [
        prediction(f"q{i}", entity=f"e{i % 200}", as_of=at, release=control, score=score, decision=score >= 0.5)
        for (i, at), score in zip(enumerate(moments), random.random(600), strict=True)
    ]
    ship(everloop_database, "flights", rows)
    labels = [(row["key"], bool(random.random() < row["score"]), WEEK.end) for row in rows]
    PostgresTraffic(everloop_database).record_outcomes("flights", labels)
    texts = {name: ["AA"] for name in ("carrier", "tailnum", "origin", "dest")}
    times = {name: [WEEK.start] for name in ("scheduled_departure", "scheduled_arrival", "closed_at")}
    flight = pa.table({**texts, **times, "flight": [1], "distance": [100.0], "arrival_delay": [20.0]})
    DeltaLake(str(tmp_path / "lake" / "flights")).replace("flights", flight, WEEK)


def test_before_anything_serves_there_is_nothing_to_plan_or_show(run: Run) -> None:
    assert run("ab", "status", "flights") == (0, "flights: no experiment was ever started")
    with pytest.raises(ReleaseError, match="No release of flights serves"):
        run("ab", "plan", "flights")


def test_a_log_without_traffic_cannot_size_a_plan(run: Run, releases: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="holds no request"):
        run("ab", "plan", "flights")


@pytest.mark.usefixtures("scorer", "traffic")
def test_from_plan_to_stop(run: Run, releases: tuple[str, str], everloop_database: str, tmp_path: Path) -> None:
    plan, page, document = (tmp_path / name for name in ("plan.json", "report.html", "report.json"))
    code, told = run("ab", "plan", "flights", "--effect", "0.2", "--segments", "carrier", "--save", str(plan))
    assert code == 0
    assert f"treatment {releases[1]} at 50% against control {releases[0]}, cost" in told
    assert "days of such traffic" in told
    assert json.loads(plan.read_text())["rows"] > 100

    code, told = run("ab", "start", "flights", str(plan), "--reason", "is it cheaper?")
    assert code == 0
    assert "is it cheaper?\nflights_experiment watches it" in told
    _, state = PostgresLedger(everloop_database).head("flights")
    assert (state.stage, state.challenger, state.weight) == (Stage.EXPERIMENT, releases[1], 0.5)

    code, told = run("ab", "start", "flights", str(plan), "--reason", "again")
    assert (code, told.split(":")[0]) == (1, "refused")

    code, told = run("ab", "status", "flights", "--html", str(page), "--json", str(document))
    assert code == 0
    assert "conclusion: inconclusive" in told
    assert page.read_text().startswith("<!doctype html>")
    assert json.loads(document.read_text())["plan"]["segments"] == ["carrier"]

    assert "experiment_stopped: " in run("ab", "stop", "flights", "--reason", "enough")[1]
    assert run("ab", "stop", "flights", "--reason", "enough")[1] == "wait: no experiment is under way (stage idle)"
    assert "experiment_stopped" in run("ab", "status", "flights")[1]


def test_a_plan_with_a_misspelt_key_starts_nothing(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text('{"weigth": 0.5}')
    with pytest.raises(ConfigurationError, match=r"unknown keys \['weigth'\]"):
        run("ab", "start", "flights", str(file), "--reason", "-")
