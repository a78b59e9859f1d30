"""Airflow as a person uses it, through its REST API: unpause, backfill, trigger, approve, wait.

Its API-server and its database may be restarted at any moment: what can be done twice is tried again, and what cannot is
looked for before it is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from everloop.demo.retries import PATIENCE, PAUSE, AwayError, steady
from everloop.errors import StackError

ACTIVE = ("queued", "running")
UNFINISHED = ("scheduled", "queued", "running", "deferred", "awaiting_input", "up_for_retry", "up_for_reschedule", "restarting")
"""States of a task that has not ended."""

NOT_FOUND, CONFLICT = httpx.codes.NOT_FOUND, httpx.codes.CONFLICT


class AirflowClient:
    """A logged-in client of Airflow's API; logs in again when the token has expired.

    A server that is away, is overloaded or fails (5xx) is asked again for `patience` seconds, and `say` is told so; then, and
    for any other refusal, `StackError` has its words.
    """

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        *,
        say: Callable[[str], None] | None = None,
        patience: float = PATIENCE,
        pause: float = PAUSE,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._credentials = {"username": username, "password": password}
        self._http = httpx.Client(base_url=url, timeout=60, transport=transport)
        self._steady = steady(say, patience=patience, pause=pause)

    def unpause(self, dag: str) -> None:
        """Unpause `dag`, as soon as the DAG processor has brought it."""

        def ask() -> None:
            if self._once("PATCH", f"/api/v2/dags/{dag}", allow=(NOT_FOUND,), json={"is_paused": False}).is_error:
                raise AwayError(f"Airflow does not know the DAG {dag}: see `everloop logs dag-processor`")

        self._steady(ask)

    def backfill(self, dag: str, start: datetime, end: datetime, *, max_active_runs: int = 1, again: bool = False) -> None:
        """Create one backfill of the runs whose logical date lies in `[start, end]`. `again`: finished ones too.

        Waits while Airflow counts another backfill of the DAG as running: it notes the end of one up to half a minute late.
        """
        body = {
            "dag_id": dag,
            "from_date": start.isoformat(),
            "to_date": end.isoformat(),
            "max_active_runs": max_active_runs,
            "reprocess_behavior": "completed" if again else "none",
        }
        before = self._steady(self._latest_backfill, dag)

        def ask() -> None:
            if self._latest_backfill(dag) > before:
                return  # an earlier try did it, and its answer was lost
            if self._once("POST", "/api/v2/backfills", allow=(CONFLICT,), json=body).status_code == CONFLICT:
                raise AwayError(f"Another backfill of {dag} is running: wait for it, or cancel it in Airflow's UI")

        self._steady(ask)

    def trigger(self, dag: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start one run by hand; returns its run id."""
        run = f"manual__{datetime.now(UTC).isoformat()}"  # ours, so that a second try finds the first one's run
        body = {"dag_run_id": run, "logical_date": None, "conf": dict(conf or {})}
        self._send("POST", f"/api/v2/dags/{dag}/dagRuns", allow=(CONFLICT,), json=body)
        return run

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

    def tasks_in_state(self, *states: str) -> list[dict[str, Any]]:
        """All task instances in any of `states`, of all DAGs and runs, at most 100."""
        params: dict[str, Any] = {"state": list(states), "limit": 100}
        found = self._send("GET", "/api/v2/dags/~/dagRuns/~/taskInstances", params=params).json()
        return list(found["task_instances"])

    def questions(self) -> list[dict[str, Any]]:
        """Approvals that wait for a person, as Airflow's page of required actions lists them."""
        params = {"response_received": "false", "limit": 50}
        return list(self._send("GET", "/api/v2/dags/~/dagRuns/~/hitlDetails", params=params).json()["hitl_details"])

    def answer(self, question: Mapping[str, Any], option: str) -> None:
        """Answer an approval, as a person would with a click; one that has been answered, or is gone, stays as it is."""
        task = question["task_instance"]
        path = f"/api/v2/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/{task['map_index']}"
        chosen = {"chosen_options": [option], "params_input": {}}
        self._send("PATCH", f"{path}/hitlDetails", allow=(CONFLICT, NOT_FOUND), json=chosen)

    def _latest_backfill(self, dag: str) -> int:
        """The number of the DAG's newest backfill, -1 without any."""
        params: dict[str, Any] = {"dag_id": dag, "order_by": "-id", "limit": 1}
        found = self._once("GET", "/api/v2/backfills", params=params).json()["backfills"]
        return int(found[0]["id"]) if found else -1

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """For what may be sent twice."""
        response: httpx.Response = self._steady(self._once, method, path, **options)
        return response

    def _once(self, method: str, path: str, *, allow: tuple[int, ...] = (), **options: Any) -> httpx.Response:
        """One try; `AwayError` when another one may do better."""
        if "Authorization" not in self._http.headers:
            self._log_in()
        response = self._request(method, path, **options)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._log_in()
            response = self._request(method, path, **options)
        if response.is_error and response.status_code not in allow:
            raise StackError(f"Airflow answered {response.status_code} to {method} {path}: {response.text[:500]}")
        return response

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise AwayError(f"Airflow does not answer {method} {path} ({error!r}): see `everloop status`") from error
        if response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise AwayError(f"Airflow answered {response.status_code} to {method} {path}: {response.text[:500]}")
        return response

    def _log_in(self) -> None:
        self._http.headers.pop("Authorization", None)
        response = self._request("POST", "/auth/token", json=self._credentials)
        if response.is_error:
            raise StackError(f"Airflow refused the log-in of {self._credentials['username']}: {response.text[:200]}")
        self._http.headers["Authorization"] = f"Bearer {response.json()['access_token']}"
