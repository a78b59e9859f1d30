"""The graph `<use case>_score`: batch scores of an interval, written back to the business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, get_current_context

from everloop.errors import ConfigurationError
from everloop.interval import Interval
from everloop.use_case import UseCase
from everloop.wiring import connect
from everloop.workflow import runs
from everloop.workflow.attempts import OUTSIDE
from everloop.workflow.forms import moment
from everloop.workflow.pages import page
from everloop.workflow.runs import Json
from everloop.workflow.tasks import task

PAGE = """
- **predict**: scores of the interval's rows by the release that serves, into the lake's table `predictions`.
- **write_back**: upsert by key into the business's own table; twice is once.

By hand: `start` and `end`.
"""


@dataclass(frozen=True)
class ScoreTasks:
    """What the tasks do, for the run's own interval or the one that a person asked for."""

    use_case: UseCase

    def predict(self, params: Json) -> Json:
        """Scores into the lake."""
        from everloop.learn.scoring import score
        from everloop.steps import score as steps

        loop = connect(self.use_case)
        return steps.predict(loop.lake, loop.features, loop.registry, loop.ledger, self.use_case, worked(params), score)

    def write_back(self, params: Json) -> Json:
        """Scores into the business's table."""
        from everloop.steps import score as steps

        loop = connect(self.use_case)
        return steps.write_back(loop.lake, loop.destination, self.use_case, worked(params))


def worked(parameters: Json) -> Interval:
    """The interval of this run; `ConfigurationError` when a person triggered it and named none."""
    if interval := runs.own_interval() or runs.asked_interval(parameters):
        return interval
    run = get_current_context()["dag_run"]
    raise ConfigurationError(f'Run {run.run_id} was triggered by hand without an interval: give "start" and "end"')


def graph(use_case: UseCase) -> DAG:
    """`<use case>_score`: by cron, by backfill, by hand."""
    tasks = ScoreTasks(use_case)
    with DAG(
        dag_id=f"{use_case.name}_score",
        description="Batch scores, written back to the source system",
        doc_md=page(use_case, PAGE),
        schedule=CronDataIntervalTimetable(use_case.cron, timezone="UTC"),
        start_date=use_case.start,
        end_date=use_case.end,
        catchup=False,
        max_active_runs=2,
        params={"start": moment("from when (UTC), with `end`"), "end": moment("until when (UTC), exclusive")},
        tags=["everloop", use_case.name],
        default_args={"owner": use_case.owner, **OUTSIDE},
    ) as dag:
        predict: Any = task(tasks.predict)()
        if use_case.write_back:
            predict >> task(tasks.write_back)()
    return dag
