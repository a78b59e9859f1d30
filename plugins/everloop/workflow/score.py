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
- **plan**: pins the release that serves and the version of every table, and divides the interval's examples into parts.
- **score**: one task a part, staged apart: features as they were known when each prediction was asked for, then the scores.
- **publish**: every example has one score, then the interval is replaced in the lake's table `predictions` by one commit.
{back}
Running an interval again gives the same rows. A run that failed half-way may simply be cleared.

By hand: `start` and `end`.
"""
BACK = "- **write_back**: upsert by key into the business's own tables; twice is once.\n"
FILES = "- **write_files**: one file an interval, in place whole or not at all; twice is once.\n"


@dataclass(frozen=True)
class ScoreTasks:
    """What the tasks do, for the run's own interval or the one that a person asked for."""

    use_case: UseCase

    def plan(self, params: Json, ti: Any) -> list[Json]:
        """The parts to score; none skips their task alone."""
        from everloop.steps import score as steps

        loop = connect(self.use_case)
        planned = steps.plan(loop.lake, loop.ledger, self.use_case, worked(params), runs.run_name())
        parts: list[Json] = planned.pop("parts")
        for name, value in planned.items():
            ti.xcom_push(name, value)
        return parts

    def score(self, part: Json) -> Json:
        """One part's scores, staged."""
        from everloop.learn.scoring import score
        from everloop.steps import score as steps

        loop = connect(self.use_case)
        return steps.score(loop.lake, loop.features, loop.registry, part["place"], part["number"], score)

    def publish(self, place: str) -> Json:
        """All parts into the lake's table."""
        from everloop.steps import score as steps

        return steps.publish(connect(self.use_case).lake, place)

    def write_back(self, params: Json) -> Json:
        """Scores into the business's tables."""
        from everloop.steps import score as steps

        loop = connect(self.use_case)
        return steps.write_back(loop.lake, loop.destination, self.use_case, worked(params))

    def write_files(self, params: Json) -> Json:
        """Scores as files."""
        from everloop.steps import score as steps

        loop = connect(self.use_case)
        return steps.write_files(loop.lake, loop.outbox, self.use_case, worked(params))


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
        doc_md=page(use_case, PAGE.format(back=BACK * bool(use_case.tables_back) + FILES * bool(use_case.files_back))),
        schedule=CronDataIntervalTimetable(use_case.cron, timezone="UTC"),
        start_date=use_case.start,
        end_date=use_case.end,
        catchup=False,
        max_active_runs=2,
        params={"start": moment("from when (UTC), with `end`"), "end": moment("until when (UTC), exclusive")},
        tags=["everloop", use_case.name],
        default_args={"owner": use_case.owner, **OUTSIDE},
    ) as dag:
        parts: Any = task(tasks.plan)()
        # An interval without examples has no part to score, and is published as empty.
        published: Any = task(trigger_rule="none_failed")(tasks.publish)(parts["place"])
        task(tasks.score).expand(part=parts) >> published
        if use_case.tables_back:
            published >> task(tasks.write_back)()
        if use_case.files_back:
            published >> task(tasks.write_files)()
    return dag
