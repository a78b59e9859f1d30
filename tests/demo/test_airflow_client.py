"""The client against an Airflow that is restarted at the worst moments."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from everloop.demo.airflow_client import AirflowClient
from everloop.demo.retries import AwayError
from everloop.errors import StackError

MARCH = datetime(2013, 3, 5, tzinfo=UTC)


class Airflow:
    """The parts of Airflow's API that the demo uses. `troubles`: what the next requests meet, before or after they had effect."""

    def __init__(self) -> None:
        self.token, self.logins = "one", 0
        self.dags = {"flights_ingest": True}
        self.runs: dict[str, dict[str, Any]] = {}
        self.backfills: list[dict[str, Any]] = []
        self.answered: list[str] = []
        self.heard: list[str] = []
        self.before: list[httpx.Response | httpx.TransportError] = []
        self.after: list[httpx.Response | httpx.TransportError] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.heard.append(f"{request.method} {request.url.path}")
        if self.before:
            return _meet(self.before.pop(0))
        answer = self._answer(request)
        return _meet(self.after.pop(0)) if self.after and request.url.path != "/auth/token" else answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path, body = request.url.path, json.loads(request.content or b"{}")
        if path == "/auth/token":
            return self._log_in(body)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return httpx.Response(401, text="expired")
        if path == "/api/v2/backfills":
            return self._backfill(request.method, body)
        if path.endswith("/hitlDetails") and request.method == "PATCH":
            return self._approve(path)
        if path.endswith("/dagRuns") and request.method == "POST":
            return self._run(body)
        if request.method == "PATCH":
            return self._unpause(path.rsplit("/", 1)[1], body)
        if path.endswith("/state"):
            return httpx.Response(200, json={"state": "success"})
        return httpx.Response(400, text=f"a bad request of {path}")

    def _log_in(self, body: dict[str, Any]) -> httpx.Response:
        self.logins += 1
        right = body == {"username": "admin", "password": "admin"}
        return httpx.Response(201, json={"access_token": self.token}) if right else httpx.Response(401, text="who?")

    def _backfill(self, method: str, body: dict[str, Any]) -> httpx.Response:
        if method == "GET":
            return httpx.Response(200, json={"backfills": self.backfills[::-1][:1]})
        if self.backfills and not self.backfills[-1]["completed"]:
            return httpx.Response(409, text="There is already a running backfill")
        self.backfills.append({"id": len(self.backfills), "completed": False, **body})
        return httpx.Response(200, json=self.backfills[-1])

    def _approve(self, path: str) -> httpx.Response:
        if path in self.answered:
            return httpx.Response(409, text="has already been updated")
        self.answered.append(path)
        return httpx.Response(200, json={})

    def _run(self, body: dict[str, Any]) -> httpx.Response:
        if body["dag_run_id"] in self.runs:
            return httpx.Response(409, text="The Dag run already exists")
        self.runs[body["dag_run_id"]] = body
        return httpx.Response(200, json={"dag_run_id": body["dag_run_id"]})

    def _unpause(self, dag: str, body: dict[str, Any]) -> httpx.Response:
        if dag not in self.dags:
            return httpx.Response(404, text="no such DAG")
        self.dags[dag] = body["is_paused"]
        return httpx.Response(200, json={})


def _meet(trouble: httpx.Response | httpx.TransportError) -> httpx.Response:
    if isinstance(trouble, httpx.TransportError):
        raise trouble
    return trouble


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


@pytest.fixture
def client(airflow: Airflow) -> AirflowClient:
    return AirflowClient("http://airflow", "admin", "admin", pause=0, patience=5, transport=httpx.MockTransport(airflow))


def failing(status: int = 500) -> httpx.Response:
    return httpx.Response(status, text="the database system is starting up")


TROUBLES = [
    [failing(500)],
    [failing(503), failing(502), failing(429)],
    [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut")],
]


@pytest.mark.parametrize("troubles", TROUBLES)
def test_a_read_is_asked_again_while_the_server_is_away_or_fails(airflow: Airflow, client: AirflowClient, troubles: list) -> None:
    airflow.before = list(troubles)
    assert client.run_state("flights_ingest", "state") == "success"


@pytest.mark.parametrize("troubles", TROUBLES)
def test_a_run_is_started_once_though_the_answer_was_lost(airflow: Airflow, client: AirflowClient, troubles: list) -> None:
    airflow.after = list(troubles)
    run = client.trigger("flights_retrain", {"reason": "drift"})
    assert list(airflow.runs) == [run]
    assert airflow.runs[run] == {"dag_run_id": run, "logical_date": None, "conf": {"reason": "drift"}}
    assert client.trigger("flights_retrain") != run


@pytest.mark.parametrize("troubles", TROUBLES)
def test_a_backfill_is_created_once_though_the_answer_was_lost(airflow: Airflow, client: AirflowClient, troubles: list) -> None:
    for n in range(2):
        airflow.after = [httpx.Response(200, json={"backfills": [{"id": n - 1}] if n else []}), *troubles]
        client.backfill("flights_ingest", MARCH, MARCH, again=bool(n))
        assert len(airflow.backfills) == n + 1
        airflow.backfills[-1]["completed"] = True
    assert [one["reprocess_behavior"] for one in airflow.backfills] == ["none", "completed"]


def test_a_backfill_waits_until_airflow_has_noted_the_end_of_the_one_before(airflow: Airflow, client: AirflowClient) -> None:
    client.backfill("flights_ingest", MARCH, MARCH)
    asked = 0

    def later(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        airflow.backfills[0]["completed"] = asked > 5
        return airflow(request)

    again = AirflowClient("http://airflow", "admin", "admin", pause=0, transport=httpx.MockTransport(later))
    again.backfill("flights_ingest", MARCH, MARCH, again=True)
    assert len(airflow.backfills) == 2


QUESTION = {"task_instance": {"dag_id": "flights_retrain", "dag_run_id": "r", "task_id": "approve", "map_index": -1}}


def test_an_approval_may_be_answered_twice(airflow: Airflow, client: AirflowClient) -> None:
    airflow.after = [failing()]
    client.answer(QUESTION, "Approve")
    client.answer(QUESTION, "Approve")
    assert airflow.answered == ["/api/v2/dags/flights_retrain/dagRuns/r/taskInstances/approve/-1/hitlDetails"]


def test_a_dag_is_unpaused_as_soon_as_it_is_there(airflow: Airflow) -> None:
    def brought(request: httpx.Request) -> httpx.Response:
        if len(airflow.heard) == 4:
            airflow.dags["flights_retrain"] = True
        return airflow(request)

    client = AirflowClient("http://airflow", "admin", "admin", pause=0, transport=httpx.MockTransport(brought))
    client.unpause("flights_retrain")
    assert airflow.dags["flights_retrain"] is False


def test_a_dag_that_never_comes_is_named(client: AirflowClient, airflow: Airflow) -> None:
    hasty = AirflowClient("http://airflow", "admin", "admin", pause=0, patience=0.05, transport=httpx.MockTransport(airflow))
    with pytest.raises(AwayError, match="Airflow does not know the DAG nobody: see `everloop logs dag-processor`"):
        hasty.unpause("nobody")


def test_it_logs_in_again_when_the_token_has_expired_also_while_the_server_is_away(
    airflow: Airflow, client: AirflowClient
) -> None:
    client.run_state("flights_ingest", "state")
    airflow.token = "two"
    airflow.after = [failing()]
    client.run_state("flights_ingest", "state")
    assert airflow.logins == 2
    fresh = AirflowClient("http://airflow", "admin", "admin", pause=0, transport=httpx.MockTransport(airflow))
    airflow.before = [failing()]
    assert fresh.run_state("flights_ingest", "state") == "success"


def test_a_wrong_password_and_a_bad_request_are_told_at_once(airflow: Airflow, client: AirflowClient) -> None:
    wrong = AirflowClient("http://airflow", "admin", "secret", pause=0, transport=httpx.MockTransport(airflow))
    with pytest.raises(StackError, match="refused the log-in of admin: who"):
        wrong.questions()
    with pytest.raises(StackError, match=r"Airflow answered 400 to GET .*hitlDetails: a bad request"):
        client.questions()
    assert airflow.heard.count("GET /api/v2/dags/~/dagRuns/~/hitlDetails") == 1


def test_a_server_that_stays_away_is_told_with_its_last_words(airflow: Airflow) -> None:
    said: list[str] = []
    gone = httpx.MockTransport(lambda request: failing())
    client = AirflowClient("http://airflow", "admin", "admin", say=said.append, pause=0, patience=0.05, transport=gone)
    with pytest.raises(StackError, match="Airflow answered 500 to POST /auth/token: the database system is starting up"):
        client.run_state("flights_ingest", "r")
    assert len(said) == 1
