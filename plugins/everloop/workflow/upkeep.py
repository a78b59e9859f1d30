"""The graph `everloop_upkeep`: what must be done every day for all use cases."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable

from everloop.catalog import use_case, use_cases
from everloop.wiring import connect
from everloop.workflow import runs
from everloop.workflow.attempts import OUTSIDE
from everloop.workflow.runs import Json
from everloop.workflow.tasks import task

PAGE = """
For every use case that a DAG file defines:

- **prediction_log**: days of answers that are over go to the lake, before anything of them is deleted.
- **retention**: predictions and outcomes older than the use case keeps are deleted, in PostgreSQL and in the lake.
- **erasure**: requests to be forgotten are carried out.
- **vacuum**: files that no living release and no recent version needs are deleted.
- **verify_ledger**: the hash chain is checked from its first row; a broken one fails this task.
"""


def names() -> list[str]:
    """The use cases there are."""
    return sorted(use_cases())


def prediction_log(name: str) -> Json:
    """Days of answers go to the lake."""
    from everloop.steps import prediction_log as step

    loop = connect(use_case(name))
    return step.export(loop.answered, loop.lake, loop.use_case, now=runs.now())


def retention(name: str) -> Json:
    """Old predictions and outcomes go."""
    from everloop.steps import upkeep

    loop = connect(use_case(name))
    return upkeep.retention(loop.traffic, loop.lake, loop.use_case, now=runs.now())


def erasure(name: str) -> Json:
    """Requests to be forgotten are carried out."""
    from everloop.steps import upkeep

    loop = connect(use_case(name))
    return upkeep.erasure(loop.traffic, loop.lake, loop.ledger, loop.use_case, now=runs.now())


def vacuum(name: str) -> Json:
    """Files that nobody needs go."""
    from everloop.steps import upkeep

    loop = connect(use_case(name))
    return upkeep.vacuum(loop.lake, loop.ledger, loop.use_case, now=runs.now())


def verify_ledger(name: str) -> Json:
    """The hash chain, from its first row."""
    from everloop.steps import upkeep

    loop = connect(use_case(name))
    return upkeep.verify(loop.ledger, loop.use_case)


def graph() -> DAG:
    """`everloop_upkeep`: daily, each task once a use case."""
    with DAG(
        dag_id="everloop_upkeep",
        description="Prediction log to the lake, retention, erasure requests, vacuum, ledger verification",
        doc_md=PAGE,
        schedule=CronTriggerTimetable("30 3 * * *", timezone="UTC"),
        catchup=False,
        max_active_runs=1,
        tags=["everloop"],
        default_args={"owner": "everloop", **OUTSIDE},
    ) as dag:
        found: Any = task(names)()
        kept: Any = task(prediction_log).expand(name=found)
        for work in (retention, erasure):
            kept >> task(work).expand(name=found)
        for work in (vacuum, verify_ledger):
            task(work).expand(name=found)
    return dag
