"""A small world for the graphs: the airline of three January weeks, every real system of the loop, and Airflow in one process.

Airflow's REST API and task runtime are its own; what its scheduler would do (start queued runs, one ready task at a time,
make runs of asset events) is done here, so that tests need no daemons.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

import airflow_home
from everloop.interval import grid
from everloop.settings import PROJECT
from everloop.stack.ports import free_port

WEEKS = list(grid(datetime(2013, 1, 1, tzinfo=UTC), timedelta(days=7), datetime(2013, 1, 22, tzinfo=UTC)))
WIRING = "globals().update(airflow_graphs(USE_CASE))"
QUICK = """
from dataclasses import replace

USE_CASE = replace(
    USE_CASE,
    training=replace(USE_CASE.training, rounds=20, candidates=()),
    # The few days of the world tell little by day.
    gate=replace(USE_CASE.gate, auc_floor=0.5, ece_ceiling=0.5, block=timedelta(hours=1)),
    fairness=replace(USE_CASE.fairness, error_rate_difference=None),
    rollout=replace(USE_CASE.rollout, poll=timedelta(seconds=0.2)),
    batch=replace(USE_CASE.batch, part_rows=2_000),
)
"""


def write_quick_dags() -> None:
    """The shipped use case with a quick model, in the DAG folder of the tests' Airflow."""
    text = (PROJECT / "dags" / "flights.py").read_text()
    (airflow_home.DAGS / "flights.py").write_text(text.replace(WIRING, QUICK + WIRING))
    (airflow_home.DAGS / "everloop_upkeep.py").write_text((PROJECT / "dags" / "everloop_upkeep.py").read_text())


@contextlib.contextmanager
def environment(folder: Path, everloop: str, airline: str) -> Iterator[dict[str, str]]:
    """Settings of the loop for this process and its children; the working folder is `folder`, where MLflow puts artifacts."""
    port = free_port()
    wanted = {
        "EVERLOOP_HOME": str(folder),
        "EVERLOOP_DATABASE": everloop,
        "EVERLOOP_MLFLOW": f"sqlite:///{folder}/mlflow.db",
        "EVERLOOP_CONNECTION_AIRLINE": airline,
        "EVERLOOP_SCORER": f"http://127.0.0.1:{port}",
        "EVERLOOP_SERVE_PORT": str(port),
        "PYTHONPATH": str(PROJECT / "plugins"),
    }
    before, place = dict(os.environ), Path.cwd()
    os.environ.update(wanted)
    os.chdir(folder)
    try:
        yield wanted
    finally:
        os.chdir(place)
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def scorer(log: Path) -> Iterator[None]:
    """The scoring service as a process."""
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "-m", "everloop.serve"], stdout=output, stderr=output)
        try:
            _wait_for(f"{os.environ['EVERLOOP_SCORER']}/healthz")
            yield
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(url: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).is_success:
                return
        time.sleep(0.2)
    raise TimeoutError(url)


class Airflow:
    """Airflow without daemons."""

    def __init__(self) -> None:
        from airflow.api_fastapi.app import create_app, get_auth_manager
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
        from fastapi.testclient import TestClient

        airflow_home.migrate()
        manager = DagBundlesManager()
        manager.sync_bundles_to_db()
        bundle = next(iter(manager.get_all_dag_bundles()))
        self.bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
        assert not self.bag.import_errors
        sync_bag_to_db(self.bag, bundle.name, bundle.version)
        self.api = TestClient(create_app(apps="core"))
        token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="ann", role="ADMIN"))
        self.api.headers["Authorization"] = f"Bearer {token}"
        for dag_id in self.bag.dags:
            self.send("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        # Airflow makes the watchers of a graph at the first parse after it was unpaused.
        sync_bag_to_db(self.bag, bundle.name, bundle.version)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """What the REST API answers."""
        response = self.api.request(method, f"/api/v2{path}", json=body)
        assert response.is_success, response.text
        return response.json()

    def trigger(self, dag_id: str, **conf: Any) -> dict[str, str]:
        """A run by hand, to its end; its tasks' states."""
        run = self.send("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})
        return self.finish(dag_id)[run["dag_run_id"]]

    def finish(self, dag_id: str) -> dict[str, dict[str, str]]:
        """Run every queued run of `dag_id` to its end, oldest first: states of tasks by run."""
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            queued = select(DagRun.run_id).where(DagRun.dag_id == dag_id, DagRun.state == "queued").order_by(DagRun.run_after)
            waiting = list(session.scalars(queued))
        return {run_id: self._finish(dag_id, run_id) for run_id in waiting}

    def ring(self, dag_id: str) -> dict[str, dict[str, str]]:
        """Make the run that waiting asset events ask for, as the scheduler would, and run it to its end; empty when none wait."""
        from airflow.jobs.job import Job
        from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
        from airflow.models.asset import AssetDagRunQueue
        from airflow.models.dag import DagModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            if not session.scalars(select(AssetDagRunQueue).where(AssetDagRunQueue.target_dag_id == dag_id)).all():
                return {}
            job = Job()
            session.add(job)
            session.flush()
            model = session.scalars(select(DagModel).where(DagModel.dag_id == dag_id)).one()
            SchedulerJobRunner(job=job, executors=[])._create_dag_runs_asset_triggered(dag_models=[model], session=session)
        return self.finish(dag_id)

    def watchers(self) -> list[Any]:
        """The triggers that the triggerer would run: class and arguments."""
        from airflow.models.trigger import Trigger
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            return [(trigger.classpath, trigger.kwargs) for trigger in session.scalars(select(Trigger))]

    def result(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """A task's XCom."""
        return self.send("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}")["value"]

    def _finish(self, dag_id: str, run_id: str) -> dict[str, str]:
        from airflow.models.dagrun import DagRun
        from airflow.sdk.definitions.dag import _run_task
        from airflow.utils.session import create_session
        from sqlalchemy import select

        tasks = self.bag.dags[dag_id].task_dict
        before: dict[str, str] = {}
        while True:
            with create_session() as session:
                run = session.scalars(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).one()
                run.dag, run.state = self._serialized(dag_id), "running"
                for ti in run.update_state(session=session)[0]:
                    ti.try_number += 1
                    ti.state = "scheduled"
                session.commit()
                instances = run.get_task_instances(session=session)
                states = {ti.task_id: str(ti.state) for ti in instances}
                # Scheduled are those made ready above, and those that an answer has woken.
                ready = [ti for ti in instances if ti.state == "scheduled"]
                # A task that was skipped just now, mapped over nothing say, makes others ready in the next round.
                if not ready and not self._answer(dag_id, run_id, states) and states == before:
                    return states
                before = states
                for ti in ready:
                    _run_task(ti=ti, task=tasks[ti.task_id])

    def _answer(self, dag_id: str, run_id: str, states: dict[str, str]) -> bool:
        """Approve what waits for a person."""
        waiting = [task for task, state in states.items() if state == "awaiting_input"]
        for task in waiting:
            path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task}/-1/hitlDetails"
            self.send("PATCH", path, {"chosen_options": ["Approve"], "params_input": {}})
        return bool(waiting)

    def _serialized(self, dag_id: str) -> Any:
        from airflow.models.serialized_dag import SerializedDagModel

        return SerializedDagModel.get_dag(dag_id)
