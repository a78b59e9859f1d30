"""Airflow as a person uses it, through its REST API: unpause, backfill, trigger, approve, wait."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from everloop.errors import StackError

ACTIVE = ("queued", "running")


class AirflowClient:
    """A logged-in client of Airflow's API; logs in again when the token has expired."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self._credentials = {"username": username, "password": password}
        self._http = httpx.Client(base_url=url, timeout=30)

    def unpause(self, dag: str, *, patience: float = 60) -> None:
        """Unpause `dag`; waits up to `patience` seconds until the dag processor has brought it."""
        deadline = time.monotonic() + patience
        while True:
            response = self._send("PATCH", f"/api/v2/dags/{dag}", json={"is_paused": False}, allow=(404,))
            if response.status_code != httpx.codes.NOT_FOUND:
                return
            if time.monotonic() > deadline:
                raise StackError(f"Airflow does not know the DAG {dag} after {patience:.0f} s: see `everloop logs dag-processor`")
            time.sleep(1)

    def backfill(self, dag: str, start: datetime, end: datetime, *, max_active_runs: int = 1, again: bool = False) -> None:
        """Create a backfill of the runs whose logical date lies in `[start, end]`. `again`: finished ones too."""
        body = {
            "dag_id": dag,
            "from_date": start.isoformat(),
            "to_date": end.isoformat(),
            "max_active_runs": max_active_runs,
            "reprocess_behavior": "completed" if again else "none",
        }
        self._send("POST", "/api/v2/backfills", json=body)

    def trigger(self, dag: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run by hand; returns its run id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        return str(self._send("POST", f"/api/v2/dags/{dag}/dagRuns", json=body).json()["dag_run_id"])

    def runs(self, dag: str, states: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        """Runs of `dag` in any of `states` (all when empty), newest first, at most 100."""
        params: dict[str, Any] = {"order_by": "-run_after", "limit": 100}
        if states:
            params["state"] = list(states)
        found: list[dict[str, Any]] = self._send("GET", f"/api/v2/dags/{dag}/dagRuns", params=params).json()["dag_runs"]
        return found

    def run_state(self, dag: str, run: str) -> str:
        """The state of one run: queued, running, success or failed."""
        return str(self._send("GET", f"/api/v2/dags/{dag}/dagRuns/{run}").json()["state"])

    def tasks_in_state(self, state: str) -> list[dict[str, Any]]:
        """All task instances in `state`, of all DAGs and runs, at most 100."""
        params: dict[str, Any] = {"state": [state], "limit": 100}
        found = self._send("GET", "/api/v2/dags/~/dagRuns/~/taskInstances", params=params).json()
        return list(found["task_instances"])

    def questions(self) -> list[dict[str, Any]]:
        """Approvals that wait for a person, as Airflow's page of required actions lists them."""
        params = {"response_received": "false", "limit": 50}
        return list(self._send("GET", "/api/v2/dags/~/dagRuns/~/hitlDetails", params=params).json()["hitl_details"])

    def answer(self, question: Mapping[str, Any], option: str) -> None:
        """Answer an approval, as a person would with a click."""
        task = question["task_instance"]
        path = f"/api/v2/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/{task['map_index']}"
        self._send("PATCH", f"{path}/hitlDetails", json={"chosen_options": [option], "params_input": {}})

    def _send(self, method: str, path: str, *, allow: tuple[int, ...] = (), **kwargs: Any) -> httpx.Response:
        if "Authorization" not in self._http.headers:
            self._log_in()
        response = self._retrying(method, path, **kwargs)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._log_in()
            response = self._retrying(method, path, **kwargs)
        if response.is_error and response.status_code not in allow:
            raise StackError(f"Airflow answered {response.status_code} to {method} {path}: {response.text[:500]}")
        return response

    def _retrying(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """The api-server may be restarting: reads are tried for half a minute."""
        for attempt in range(6):
            try:
                return self._http.request(method, path, **kwargs)
            except httpx.TransportError:
                if method != "GET" or attempt == 5:
                    raise
                time.sleep(5)
        raise AssertionError("unreachable")

    def _log_in(self) -> None:
        self._http.headers.pop("Authorization", None)
        response = self._http.post("/auth/token", json=self._credentials)
        if response.is_error:
            raise StackError(f"Airflow refused the log-in of {self._credentials['username']}: {response.text[:200]}")
        self._http.headers["Authorization"] = f"Bearer {response.json()['access_token']}"
