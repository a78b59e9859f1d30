"""Weeks of 2013 as the loop lives through them: requests, outcomes, new rows, and all that the loop makes of them.

Data time stands still at the end of a week until everything that the week calls for is done: it is ingested, the monitor has
looked at it, a model that it asked for is trained and judged, and the rollout has decided what it can. So the same data give the
same story, on a fast machine as on a slow one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property

from everloop.demo import airline
from everloop.demo.loop_watch import LoopWatch
from everloop.demo.replay import Replay
from everloop.errors import StackError
from everloop.interval import Interval, grid
from everloop.ports import Entry

SERVED, WANTED, REGISTERED = "flights", "retrain_wanted", "registered"


class Weeks:
    """Plays weeks of the world against the loop that `watch` watches; `replay` sends the requests."""

    def __init__(self, watch: LoopWatch, replay: Replay) -> None:
        self.watch, self.replay = watch, replay
        self.interrupted = 0
        self.refused: list[str] = []
        self._trained_for = 0

    def between(self, start: datetime, end: datetime) -> Iterator[Interval]:
        """The use case's intervals within `[start, end)`."""
        case = self.watch.loop.use_case
        return grid(case.start, case.interval, end, after=start)

    @property
    def last(self) -> datetime:
        """When the newest week in the lake began."""
        return max(self.watch.loop.lake.intervals(SERVED))

    @property
    def next(self) -> datetime:
        """When the first week begins that has not been played."""
        return self.last + self.watch.loop.use_case.interval

    @cached_property
    def source(self) -> str:
        """The URI of the airline's database."""
        return self.watch.loop.settings.connection("airline")

    def arrive(self, week: Interval) -> None:
        """A week's rows and files reach the airline's systems."""
        settings = self.watch.loop.settings
        self.watch.steady(airline.arrive, self.source, settings.landing, week, settings.s3_endpoint)

    def live_through(self, week: Interval, *, train: bool = True) -> None:
        """One week: requests and outcomes as they come, then its rows and files, then what the loop makes of them.

        Without `train` nobody waits for a training that the monitor asks for, nor approves what comes of it.
        """
        report = self.replay.play(week)
        self.interrupted += report.interrupted
        self.refused += [f"{failure.route} {failure.status}: {failure.body}" for failure in report.refused]
        began = time.monotonic()
        self.arrive(week)
        self.watch.wait(f"The ingest and the monitoring of {week}", lambda: self._monitored(week), every=0.5)
        state = self.watch.state
        trial = f", {state.stage} {state.challenger or state.previous} at {state.weight:.0%}" if state.rollout else ""
        away = f" ({report.interrupted} tries met no service)" if report.interrupted else ""
        self.watch.tell.say(
            f"{week.start:%d %b}: {report.rows:,} flights scored in {report.seconds:.1f} s{away}, {len(report.refused)} refused, "
            f"ingested and monitored in {time.monotonic() - began:.1f} s{trial}"
        )
        if train:
            self._train()
        self.watch.wait("The rollout's decision", self._decided)
        self.watch.tell_decisions()

    def _monitored(self, week: Interval) -> bool:
        if self.watch.monitored(week):
            return True
        ingested = week.start in self.watch.loop.lake.intervals(SERVED) and not self.watch.active("ingest")
        self.watch.rung("monitor" if ingested else "ingest")
        return False

    def _train(self) -> None:
        """Wait for the training that the monitor has asked for, if it has."""
        asked = self.watch.entries(WANTED, after=self._trained_for)
        if asked:
            self.watch.tell.say("  The monitor asked for a new model: data time stands still until it is judged")
            self.watch.wait("The retraining", lambda: self._trained(asked[-1]))
            self._trained_for = asked[-1].seq

    def _trained(self, asked: Entry) -> bool:
        self.watch.answer_all()
        self.watch.tell_decisions()
        if self.watch.active("retrain"):
            return False
        latest = self.watch.airflow.runs(f"{self.watch.name}_retrain")[:1]
        if latest and latest[0]["state"] == "failed" and datetime.fromisoformat(latest[0]["run_after"]) >= asked.at:
            raise StackError(f"Run {latest[0]['dag_run_id']} of {self.watch.name}_retrain failed: see it in Airflow's UI")
        if self.watch.entries(REGISTERED, after=asked.seq):
            return True
        self.watch.rung("retrain", {"reason": asked.reason})
        return False

    def _decided(self) -> bool:
        if self.watch.state.rollout is None or self.watch.decided():
            return True
        self.watch.rung("rollout")
        return False
