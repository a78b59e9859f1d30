"""The graph `<use case>_monitor`: what the world and the model did, interval by interval, and whether to train again."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronDataIntervalTimetable

from everloop.use_case import UseCase
from everloop.wiring import connect
from everloop.workflow import assets, runs
from everloop.workflow.attempts import OUTSIDE
from everloop.workflow.pages import page
from everloop.workflow.runs import Json
from everloop.workflow.tasks import task

log = logging.getLogger(__name__)

PAGE = """
- **plan**: published intervals that were not monitored yet; none skips the rest.
- **outcomes**: labels that have become known, joined to the predictions; late and corrected ones of earlier intervals too, whose
  performance is then measured again.
- **drift**, **performance**, **estimate**, **fairness**, **parity**, **service**: one number each a subject and interval,
  with its verdict. Measuring again gives the same rows. What differs between served features and history is in the log of
  **parity**; while it fails, the gate refuses and a rollout holds or goes back.
- **estimate** comes after **drift** and **performance**, which say whether what it assumes holds.
- **decide**: k of the last n windows, and the latest, must violate; or enough new labels, or time. Says yes or no with reasons;
  yes rings `retrain`. Where the use case recalibrates, `measured` is rung in any case.

A run that only answers a backfill measures, and decides nothing: a backfill never leads to a release.
"""


@dataclass(frozen=True)
class MonitorTasks:
    """What the tasks do; intervals travel between them, numbers go to the measurements."""

    use_case: UseCase

    def plan(self) -> runs.Intervals:
        """Published and not monitored yet."""
        from everloop.steps import monitor

        loop = connect(self.use_case)
        return runs.to_json(monitor.pending(loop.measurements, loop.lake, self.use_case))

    def outcomes(self, intervals: runs.Intervals) -> Json:
        """Labels for what was predicted."""
        from everloop.steps import late, monitor

        loop, now = connect(self.use_case), runs.now()
        again = monitor.reworked(loop.accounts, loop.measurements, self.use_case)
        known_at = late.data_time(loop.source, self.use_case, now)
        found = monitor.outcomes(loop.lake, loop.traffic, self.use_case, runs.from_json(intervals), again, known_at)
        loop.measurements.advance(self.use_case.name, monitor.REWORKED, now)
        return found

    def drift(self, intervals: runs.Intervals) -> Json:
        """Features and scores against the release's reference."""
        return self._measure("drift", intervals)

    def performance(self, intervals: runs.Intervals) -> Json:
        """What labels say: AUC, cost, calibration, whether they follow the scores, how frequent they are."""
        return self._measure("performance", intervals)

    def estimate(self, intervals: runs.Intervals) -> Json:
        """Performance expected from the calibrated scores, before labels are known, and whether to believe it."""
        return self._measure("estimate", intervals)

    def fairness(self, intervals: runs.Intervals) -> Json:
        """Groups against the whole."""
        from everloop.steps import monitor

        loop, worked = connect(self.use_case), runs.from_json(intervals)
        return monitor.fairness(loop.lake, loop.traffic, loop.registry, loop.measurements, self.use_case, worked)

    def parity(self, intervals: runs.Intervals) -> Json:
        """Features as served against the point-in-time join."""
        from everloop.steps import parity

        loop = connect(self.use_case)
        found = parity.measure(loop.traffic, loop.features, loop.measurements, self.use_case, runs.from_json(intervals))
        for line in found.pop("report"):
            log.warning("Parity: %s", line)
        return found

    def service(self, intervals: runs.Intervals) -> Json:
        """Errors and latency against what the service promises."""
        return self._measure("service", intervals)

    def decide(self, intervals: runs.Intervals, outlet_events: Any) -> Json:
        """Train again, or not, and why; the event when yes."""
        from everloop.steps import monitor

        loop = connect(self.use_case)
        worked, backfill = runs.from_json(intervals), runs.from_backfill()
        decision = monitor.decide(loop.measurements, loop.ledger, self.use_case, worked, now=runs.now(), backfill=backfill)
        log.info("Train again: %s", decision)
        if decision["retrain"]:
            wanted = assets.retrain(self.use_case)
            extra = {"backfill": False, "reason": decision["reason"], "row": decision["row"], "intervals": intervals}
            outlet_events[assets.sometimes(wanted)].add(wanted, extra=extra)
        if self.use_case.recalibration is not None and not backfill:
            measured = assets.measured(self.use_case)
            outlet_events[assets.sometimes(measured)].add(measured, extra={"backfill": False, "intervals": intervals})
        return decision

    def _measure(self, kind: str, intervals: runs.Intervals) -> Json:
        from everloop.steps import monitor

        loop = connect(self.use_case)
        measure = getattr(monitor, kind)
        worked = runs.from_json(intervals)
        found: Json = measure(loop.traffic, loop.registry, loop.measurements, self.use_case, worked)
        return found


def graph(use_case: UseCase) -> DAG:
    """`<use case>_monitor`: after every ingest, and by cron in case an event was lost."""
    timetable = CronDataIntervalTimetable(use_case.cron, timezone="UTC")
    tasks = MonitorTasks(use_case)
    with DAG(
        dag_id=f"{use_case.name}_monitor",
        description="Outcomes, drift, performance, fairness, parity, service levels; may ask for a new model",
        doc_md=page(use_case, PAGE),
        schedule=AssetOrTimeSchedule(timetable=timetable, assets=assets.published(use_case)),
        start_date=use_case.start,
        end_date=use_case.end,
        catchup=False,
        max_active_runs=1,
        tags=["everloop", use_case.name],
        default_args={"owner": use_case.owner, **OUTSIDE},
    ) as dag:
        intervals: Any = task.short_circuit(tasks.plan)()
        outcomes = task(tasks.outcomes)(intervals)
        measures = (tasks.fairness, tasks.parity, tasks.service)
        events = [assets.retrain(use_case), *([assets.measured(use_case)] if use_case.recalibration else [])]
        decide = task(outlets=[assets.sometimes(event) for event in events])(tasks.decide)(intervals)
        # Whether an estimate may be believed, the other two say.
        drift, performance, estimate = (task(measure)(intervals) for measure in (tasks.drift, tasks.performance, tasks.estimate))
        outcomes >> [drift, performance] >> estimate >> decide
        outcomes >> [task(measure)(intervals) for measure in measures] >> decide
    return dag
