"""Every DAG file: that it loads, which graphs it gives, what they look like, and what parsing costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from everloop.settings import PROJECT
from workflow.shapes import shape

DAG_FILES = {"flights.py", "everloop_upkeep.py"}
GRAPHS = [f"flights_{name}" for name in ("ingest", "retrain", "rollout", "experiment", "monitor", "score", "rollback")]
GRAPHS += ["everloop_upkeep"]
GOLDEN = PROJECT / "tests" / "golden" / "dags"
HEAVY = ("boto3", "duckdb", "deltalake", "feast", "great_expectations", "matplotlib", "mlflow", "numpy", "pandas", "polars")
HEAVY += ("psycopg", "asyncpg", "pyarrow", "scipy", "sklearn", "xgboost")
PARSE = f"""
import os, sys, time
import airflow.sdk, airflow.providers.standard.operators.hitl, airflow.providers.standard.sensors.python
from airflow.dag_processing.dagbag import DagBag
began = time.process_time()
bag = DagBag(dag_folder={str(PROJECT / "dags")!r})
heavy = [name for name in {HEAVY!r} if name in sys.modules]
print("RESULT", time.process_time() - began, heavy, sorted(bag.dags), bag.import_errors)
"""


def test_every_dag_file_is_listed() -> None:
    assert {file.name for file in (PROJECT / "dags").glob("*.py")} == DAG_FILES


def test_no_dag_file_fails_to_import(dag_bag) -> None:
    assert dag_bag.import_errors == {}
    assert sorted(dag_bag.dags) == sorted(GRAPHS)


@pytest.mark.parametrize("dag_id", GRAPHS)
def test_a_graph_has_the_shape_that_was_agreed(dag_bag, dag_id: str) -> None:
    """A wanted change: delete the golden file, run again, and read the difference."""
    golden, found = GOLDEN / f"{dag_id}.json", shape(dag_bag.dags[dag_id])
    if not golden.exists():
        golden.write_text(json.dumps(found, indent=2) + "\n")
        pytest.fail(f"{golden.name} was missing and is written now: read it and run again")
    assert found == json.loads(golden.read_text())


@pytest.mark.parametrize("dag_id", GRAPHS)
def test_every_graph_and_task_explains_itself(dag_bag, dag_id: str) -> None:
    dag = dag_bag.dags[dag_id]
    assert dag.description
    assert all(f"**{task.task_id}**" in dag.doc_md for task in dag.tasks if task.task_id != "names")
    assert dag.tags


def test_parsing_all_files_imports_nothing_heavy(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin", "PYTHONPATH": str(PROJECT / "plugins"), "AIRFLOW_HOME": str(tmp_path)}
    environment |= {"AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run([sys.executable, "-c", PARSE], env=environment, capture_output=True, text=True, check=True)
    result = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    seconds, rest = result.removeprefix("RESULT ").split(" ", 1)
    print(f"parsing all DAG files took {seconds} CPU s after Airflow's own import (2 is the limit)")  # noqa: T201
    assert rest.startswith("[] "), f"heavy modules at parse time: {rest}"
