"""The graph `<use case>_recalibrate`: from ripened labels to a release with the booster that serves, or to none with reasons."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable

from everloop.decide.policy import RecalibrationPolicy
from everloop.use_case import UseCase
from everloop.wiring import connect
from everloop.workflow import assets, release, runs
from everloop.workflow.attempts import OUTSIDE
from everloop.workflow.pages import page
from everloop.workflow.runs import Json
from everloop.workflow.tasks import task

log = logging.getLogger(__name__)

PAGE = """
- **look**: whether the labels that have ripened show that scores are off where decisions are made, or are newer than the policy's
  schedule allows. A yes goes to the ledger with its numbers; a no skips the rest.
- **register**: the release: the booster that serves and a new calibrator, in the store, with run and model version in MLflow and
  a ledger row.
- **gate**: pass or refuse, with reasons, to the ledger: would its forecasts of these labels have been no worse than what was
  served?
- **release**: begins the short rollout: check, shadow, one step, watch.

Whether the model itself has aged, the monitor goes on judging by what its booster was when it was trained.
"""


@dataclass(frozen=True)
class RecalibrationTasks:
    """What the tasks do; numbers and ids travel between them."""

    use_case: UseCase

    def look(self) -> Json:
        """What is wanted and why; empty, which skips the rest, when nothing is."""
        from everloop.steps import late, recalibration

        loop, now = connect(self.use_case), runs.now()
        if runs.from_backfill():
            log.info("These labels were backfilled: nothing is asked for")
            return {}
        at = late.data_time(loop.source, self.use_case, now)
        found = recalibration.look(loop.traffic, loop.registry, loop.ledger, self.use_case, at=at, now=now)
        log.info("Recalibrate: %s: %s", found["recalibrate"], found["reason"])
        return found if found["recalibrate"] else {}

    def register(self, wanted: Json) -> Json:
        """The bundle in the release store, the model version in MLflow, and a ledger row that says what it was made of."""
        from everloop.steps import recalibration

        loop = connect(self.use_case)
        return recalibration.register(loop.ledger, loop.registry, self.use_case, runs.run_name(), wanted, now=runs.now())

    def gate(self, wanted: Json, registered: Json) -> Json:
        """The verdict; empty, which skips the release, when it is a refusal."""
        from everloop.steps import recalibration

        loop = connect(self.use_case)
        verdict = recalibration.gate(loop.ledger, loop.registry, self.use_case, wanted, registered["release"], now=runs.now())
        log.info("Gate: %s: %s", verdict["outcome"], verdict["because"])
        return verdict if verdict["passed"] else {}

    def release(self, wanted: Json, registered: Json, outlet_events: Any) -> Json:
        """The rollout begins in the ledger; then the event that says so."""
        return release.begin(self.use_case, registered["release"], outlet_events, reason=wanted["reason"])


def graph(use_case: UseCase, policy: RecalibrationPolicy) -> DAG:
    """`<use case>_recalibrate`: after every measurement of the monitor, and by cron for labels that come another way."""
    tasks = RecalibrationTasks(use_case)
    with DAG(
        dag_id=f"{use_case.name}_recalibrate",
        description="Bring scores back to chances by the labels that have ripened",
        doc_md=page(use_case, PAGE),
        schedule=AssetOrTimeSchedule(
            timetable=CronTriggerTimetable(policy.cron, timezone="UTC"), assets=assets.measured(use_case)
        ),
        start_date=use_case.start,
        end_date=use_case.end,
        catchup=False,
        max_active_runs=1,
        tags=["everloop", use_case.name],
        default_args={"owner": use_case.owner, **OUTSIDE},
    ) as dag:
        wanted: Any = task.short_circuit(tasks.look)()
        registered = task(tasks.register)(wanted)
        gate = task.short_circuit(tasks.gate)(wanted, registered)
        gate >> task(outlets=[assets.sometimes(assets.released(use_case))])(tasks.release)(wanted, registered)
    return dag
