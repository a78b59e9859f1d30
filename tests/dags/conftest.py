"""All DAG files, loaded once."""

from __future__ import annotations

from typing import Any

import pytest

import airflow_home  # noqa: F401
from everloop.settings import PROJECT


@pytest.fixture(scope="session")
def dag_bag() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=str(PROJECT / "dags"))
