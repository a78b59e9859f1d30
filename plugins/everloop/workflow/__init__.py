"""The Airflow graphs of a use case: the only package, with the console, that imports Airflow."""

from __future__ import annotations

from airflow.sdk import DAG

from everloop.use_case import UseCase
from everloop.workflow import experiment, ingest, monitor, retrain, rollback, rollout, score


def airflow_graphs(use_case: UseCase) -> dict[str, DAG]:
    """The seven graphs of `use_case` by DAG id: put them into a DAG file's globals."""
    makers = (ingest.graph, retrain.graph, rollout.graph, experiment.graph, monitor.graph, score.graph, rollback.graph)
    return {dag.dag_id: dag for dag in (make(use_case) for make in makers)}
