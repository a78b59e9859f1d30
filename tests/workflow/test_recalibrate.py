from __future__ import annotations

from dataclasses import replace

import pytest

from everloop.decide.policy import RecalibrationPolicy
from everloop.use_case import UseCase
from everloop.workflow import airflow_graphs
from workflow.shapes import shape


@pytest.fixture(scope="module")
def graphs(flights: UseCase) -> dict:
    return airflow_graphs(replace(flights, recalibration=RecalibrationPolicy(cron="5 4 * * *")))


def test_the_graph_is_there_where_the_use_case_recalibrates_and_nowhere_else(flights: UseCase, graphs: dict) -> None:
    plain = airflow_graphs(replace(flights, recalibration=None))
    assert set(graphs) - set(plain) == {"flights_recalibrate"}
    assert shape(plain["flights_retrain"]) == shape(graphs["flights_retrain"])


def test_the_graph_has_the_shape_that_was_agreed(graphs: dict) -> None:
    found = shape(graphs["flights_recalibrate"])
    assert found["schedule"] == {
        "assets": ["everloop://flights/measured"], "watchers": [], "cron": "5 4 * * * (CronTriggerTimetable)",
    }  # fmt: skip
    assert (found["catchup"], found["max_active_runs"]) == (False, 1)
    assert [task["id"] for task in found["tasks"]] == ["look", "register", "gate", "release"]
    assert {task["id"]: task["outlets"] for task in found["tasks"]}["release"] == ["everloop://flights/released?"]
    edges = {"look -> gate", "look -> register", "look -> release", "register -> gate", "register -> release", "gate -> release"}
    assert set(found["edges"]) == edges


def test_the_graph_and_its_tasks_explain_themselves(graphs: dict) -> None:
    dag = graphs["flights_recalibrate"]
    assert dag.description
    assert all(f"**{task.task_id}**" in dag.doc_md for task in dag.tasks)


def test_the_monitor_rings_it_where_the_use_case_recalibrates(graphs: dict, flights: UseCase) -> None:
    def rung(dag: object) -> list[str]:
        (decide,) = [task for task in shape(dag)["tasks"] if task["id"] == "decide"]
        return decide["outlets"]

    plain = airflow_graphs(replace(flights, recalibration=None))
    assert rung(graphs["flights_monitor"]) == ["everloop://flights/retrain?", "everloop://flights/measured?"]
    assert rung(plain["flights_monitor"]) == ["everloop://flights/retrain?"]
