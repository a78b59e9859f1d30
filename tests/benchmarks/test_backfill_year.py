"""What the backfill's benchmark puts into Airflow, and how it reckons."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import backfill_year, task_times
from benchmarks.backfill_year import TaskTime
from benchmarks.record import Record
from everloop.catalog import use_case


def test_the_dag_file_is_the_shipped_one_with_days_as_intervals(tmp_path: Path) -> None:
    backfill_year.write_dags(tmp_path / "dags")
    daily, shipped = use_case("flights", tmp_path / "dags"), use_case("flights")
    assert (daily.interval, shipped.interval) == (timedelta(days=1), timedelta(days=7))
    assert daily.sources == shipped.sources


def test_a_task_notes_when_its_own_code_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERLOOP_HOME", str(tmp_path))
    for run in ("a", "b"):
        context = {"ti": SimpleNamespace(task_id="extract", run_id=run)}
        task_times.began(context)
        task_times.ended(context)
    first, second = task_times.read(tmp_path)
    assert (first["run"], second["run"]) == ("a", "b")
    assert first["began"] <= second["began"]
    assert first["cpu_before"] + first["cpu"] <= second["cpu_before"]


def test_shares_are_of_the_slots_and_of_the_cpu() -> None:
    record = Record("backfill_year")
    tasks = [
        TaskTime(task="extract", ready=0, started=1, began=2, done=5, start_up_cpu=0.5, cpu=2.0),
        TaskTime(task="publish", ready=6, started=7, began=8, done=9, start_up_cpu=0.5, cpu=1.0),
    ]
    backfill_year.tell(record, tasks, wall=10, side_by_side=2)
    backfill_year.tell_cpu(record, {"scheduler": 5.0, "postgres": 1.0})
    told = {"waiting": [1], "start_up": [1], "our_code": [3], "start_up_cpu": [0.5], "our_cpu": [2.0]}
    assert record.samples["extract"] == told
    assert record.facts["seconds in task processes"] == 6
    assert record.facts["share of the slots' time that is not our compute"] == 0.8
    assert record.facts["share of the CPU that is not our compute"] == 0.5
