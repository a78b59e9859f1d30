"""The graph `<use case>_ingest`: from source systems to lake and feature store, one data interval at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronDataIntervalTimetable

from everloop.use_case import UseCase
from everloop.wiring import connect
from everloop.workflow import assets, runs
from everloop.workflow.attempts import OUTSIDE
from everloop.workflow.forms import moment
from everloop.workflow.pages import page
from everloop.workflow.runs import Json
from everloop.workflow.tasks import task

PAGE = """
- **plan**: which intervals to work. A cron run works its own; an event works all that the sources have completed and the lake
  lacks. Both also work published ones again in which rows arrived late or were corrected, which a person has repaired, or which
  did not get as far as the online store. A backfill works its own interval alone; by hand, `start` and `end` name one. Nothing
  pending: the rest is skipped.
- **extract**: rows of every source table, by event time, as the contract says.
- **validate**: expectation suites; bad rows are put aside, a blocking failure stops here and names the expectation.
- **publish**: one atomic commit a table and interval; rows in = rows published + rows quarantined.
- **features**: every feature view of these intervals, and of published later ones whose windows reach back to them. A corrected
  value counts from now on; what was known before stays in history.
- **materialize**: offered to the online store; an older event never overwrites a newer one.

Running an interval again gives the same tables. A run that failed half-way may simply be cleared.
"""


@dataclass(frozen=True)
class IngestTasks:
    """What the tasks do; intervals travel between them, rows are staged in the lake."""

    use_case: UseCase

    def plan(self, params: Json) -> runs.Intervals:
        """The intervals to work; none skips the rest."""
        from everloop.steps import late

        if asked := runs.asked_interval(params) or (runs.from_backfill() and runs.own_interval()):
            return runs.to_json([asked])
        loop = connect(self.use_case)
        known = (loop.source, loop.lake, loop.measurements, loop.accounts, self.use_case)
        if own := runs.own_interval():
            return runs.to_json(sorted({own, *late.again(*known, now=runs.now())}))
        return runs.to_json(late.pending(*known, now=runs.now()))

    def extract(self, intervals: runs.Intervals) -> Json:
        """Rows of every source table, staged."""
        from everloop.steps import accounting

        loop, worked = connect(self.use_case), runs.from_json(intervals)
        return accounting.extract(loop.source, loop.lake, self.use_case, worked, runs.run_name(), now=runs.now())

    def validate(self, intervals: runs.Intervals) -> Json:
        """Good rows and bad rows, staged apart."""
        from everloop.steps import ingest

        loop = connect(self.use_case)
        return ingest.validate(loop.checks, loop.lake, self.use_case, runs.from_json(intervals), runs.run_name())

    def publish(self, intervals: runs.Intervals) -> Json:
        """The lake's tables and their quarantines, and the accounts."""
        from everloop.steps import accounting

        loop, worked = connect(self.use_case), runs.from_json(intervals)
        return accounting.publish(loop.lake, loop.accounts, self.use_case, worked, runs.run_name())

    def features(self, intervals: runs.Intervals) -> Json:
        """Feature views in the lake."""
        from everloop.steps import features, late

        loop = connect(self.use_case)
        return features.compute(
            loop.features,
            loop.checks,
            loop.lake,
            self.use_case,
            runs.from_json(intervals),
            runs.run_name(),
            known_at=late.data_time(loop.source, self.use_case, runs.now()),
            last_asked=loop.traffic.last_asked(self.use_case.name),
        )

    def materialize(self, intervals: runs.Intervals, outlet_events: Any) -> Json:
        """The online store; then the event that says so."""
        from everloop.steps import accounting

        loop, worked = connect(self.use_case), runs.from_json(intervals)
        changed = accounting.materialize(loop.features, loop.accounts, self.use_case, worked)
        outlet_events[assets.published(self.use_case)].extra = {"backfill": runs.from_backfill(), "intervals": intervals}
        return changed


def graph(use_case: UseCase) -> DAG:
    """`<use case>_ingest`: by cron, by arrival, by backfill."""
    timetable = CronDataIntervalTimetable(use_case.cron, timezone="UTC")
    tasks = IngestTasks(use_case)
    with DAG(
        dag_id=f"{use_case.name}_ingest",
        description="Source systems to lake and feature store",
        doc_md=page(use_case, PAGE),
        schedule=AssetOrTimeSchedule(timetable=timetable, assets=assets.arrived(use_case)),
        start_date=use_case.start,
        end_date=use_case.end,
        catchup=False,
        # Two runs on events would do the same intervals twice. A backfill sets its own number of parallel runs, in any order:
        # `features` recomputes the published intervals that its own one touches.
        max_active_runs=1,
        params={"start": moment("from when (UTC), with `end`"), "end": moment("until when (UTC), exclusive")},
        tags=["everloop", use_case.name],
        default_args={"owner": use_case.owner, **OUTSIDE},
    ) as dag:
        intervals: Any = task.short_circuit(tasks.plan)()
        outlets = [assets.published(use_case)]
        (
            task(tasks.extract)(intervals)
            >> task(tasks.validate)(intervals)
            >> task(tasks.publish)(intervals)
            >> task(tasks.features)(intervals)
            >> task(outlets=outlets)(tasks.materialize)(intervals)
        )
    return dag
