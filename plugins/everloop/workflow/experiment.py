"""The graph `<use case>_experiment`: an A/B experiment between two releases is watched until it ends."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from airflow.sdk import DAG, CronTriggerTimetable

from everloop.use_case import UseCase
from everloop.wiring import connect
from everloop.workflow import runs
from everloop.workflow.attempts import OUTSIDE
from everloop.workflow.pages import page
from everloop.workflow.runs import Json
from everloop.workflow.tasks import task

log = logging.getLogger(__name__)

EVERY = "*/5 * * * *"
"""How often a guardrail is looked at: a release that fails costs nobody an answer meanwhile, the other one gives it."""

PAGE = """
- **watch**: one look at the experiment under way, if there is one. A guardrail that fails, an uneven split, or
  shown harm ends it at once; any other result waits for the plan's minimum time. All traffic goes to the control then: an
  experiment promotes nothing.

`everloop ab plan`, `start`, `status` and `stop` do the rest; the ledger holds the plan and what came of it.
"""


@dataclass(frozen=True)
class ExperimentTasks:
    """What the task does."""

    use_case: UseCase

    def watch(self) -> Json:
        """Look once, and end the experiment or let it go on."""
        from everloop.steps import experiment

        loop = connect(self.use_case)
        found = experiment.look(loop.ledger, loop.traffic, loop.registry, loop.lake, self.use_case, now=runs.now())
        log.info("%s", found)
        return found


def graph(use_case: UseCase) -> DAG:
    """`<use case>_experiment`: every few minutes; without an experiment a look costs one row of the ledger."""
    with DAG(
        dag_id=f"{use_case.name}_experiment",
        description="Watch the experiment between two releases; end it on harm or a result",
        doc_md=page(use_case, PAGE),
        schedule=CronTriggerTimetable(EVERY, timezone="UTC"),
        start_date=use_case.start,
        catchup=False,
        max_active_runs=1,
        tags=["everloop", use_case.name],
        default_args={"owner": use_case.owner, **OUTSIDE},
    ) as dag:
        task(ExperimentTasks(use_case).watch)()
    return dag
