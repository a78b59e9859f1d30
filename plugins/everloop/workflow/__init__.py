"""The Airflow graphs of a use case: the only package, with the console, that imports Airflow."""

from __future__ import annotations

from airflow.sdk import DAG

from everloop.use_case import UseCase
from everloop.workflow import experiment, ingest, monitor, recalibrate, retrain, rollback, rollout, score


def airflow_graphs(use_case: UseCase) -> dict[str, DAG]:
    """The graphs of `use_case` by DAG id, seven and `_recalibrate` where it recalibrates: put them into a DAG file's globals."""
    makers = (ingest.graph, retrain.graph, rollout.graph, experiment.graph, monitor.graph, score.graph, rollback.graph)
    made = [make(use_case) for make in makers]
    if use_case.recalibration is not None:
        made.append(recalibrate.graph(use_case, use_case.recalibration))
    return {dag.dag_id: dag for dag in made}
