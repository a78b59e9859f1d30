"""The demo: a model is trained on real flights, released, outlived by the world, retrained, released again, and defended."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from everloop.adapters.database import connect
from everloop.demo import airline
from everloop.demo.airflow_client import ACTIVE, AirflowClient
from everloop.demo.narrator import Narrator
from everloop.demo.past import changed, fingerprints
from everloop.demo.replay import Replay
from everloop.errors import StackError
from everloop.interval import Interval, grid

if TYPE_CHECKING:
    from everloop.decide.release.state import ReleaseState
    from everloop.ports import Entry
    from everloop.wiring import Loop

DAGS = ("flights_monitor", "flights_retrain", "flights_rollout", "flights_score", "flights_rollback", "everloop_upkeep")
HISTORY_ENDS = datetime(2013, 4, 2, tzinfo=UTC)
AUTUMN = datetime(2013, 10, 1, tzinfo=UTC)
MARCH = (datetime(2013, 3, 5, tzinfo=UTC), datetime(2013, 3, 12, tzinfo=UTC))
BACKFILL_RUNS = 2
"""Weeks that are backfilled side by side: one a core."""
WRITTEN_BACK = "delay_predictions"
REASON_WIDTH = 300
DRILL_REASON = "fire drill: can the canary stop what a person waves through?"


@dataclass(frozen=True)
class Pace:
    """How much of the world is played: the share of flights that are scored, and when it ends."""

    share: float = 0.2
    until: datetime = AUTUMN


class Story:
    """Plays the story against a running stack; every act is one method, told by the narrator."""

    def __init__(self, loop: Loop, airflow: AirflowClient, narrator: Narrator, pace: Pace) -> None:
        self.loop = loop
        self.airflow = airflow
        self.tell = narrator
        self.pace = pace
        self.replay = Replay(loop.settings.scorer, loop.settings.api_key, loop.use_case, pace.share)
        self.failed_requests = 0
        self.past_changed: list[str] = []
        self._told = 0

    @property
    def _name(self) -> str:
        return self.loop.use_case.name

    @property
    def _state(self) -> ReleaseState:
        return self.loop.ledger.head(self._name)[1]

    @cached_property
    def _source(self) -> str:
        return self.loop.settings.connection("airline")

    def weeks(self, start: datetime, end: datetime) -> Iterator[Interval]:
        """The use case's intervals within `[start, end)`."""
        return grid(self.loop.use_case.start, self.loop.use_case.interval, end, after=start)

    def play(self) -> None:
        """The whole story."""
        self.history()
        self.first_release()
        self.seasons()
        self.drill()
        self.settle()
        self.past()
        self.housekeeping()

    def history(self) -> None:
        """January to March arrive at once and are ingested by Airflow's own backfill."""
        self.tell.chapter("January to March 2013 lie in the airline's database: Airflow backfills them, week by week")
        airline.create(self._source)
        weeks = list(self.weeks(self.loop.use_case.start, HISTORY_ENDS))
        for week in weeks:
            self._arrive(week)
        dag = f"{self._name}_ingest"
        self.airflow.unpause(dag)
        self.airflow.backfill(dag, weeks[0].start, weeks[-1].start, max_active_runs=BACKFILL_RUNS)
        self.tell.wait("The backfill of January to March", lambda: self._backfilled(len(weeks)), limit=600)
        rows = self.loop.lake.read("flights").num_rows
        refused = self.loop.lake.read("flights_quarantine").num_rows
        self.tell.say(f"{rows:,} flights published, {refused:,} rows in quarantine with the rule that they broke")

    def first_release(self) -> None:
        """The first model: trained, judged against absolute floors, approved by a person, released."""
        self.tell.chapter("The first model: train, judge, ask a person, release")
        for dag in DAGS:
            self.airflow.unpause(dag)
        self.airflow.trigger(f"{self._name}_retrain", {"reason": "the first model"})
        self.tell.wait("The first release", self._first_champion, limit=420)
        self._tell_decisions()

    def seasons(self) -> None:
        """The world moves on; the loop follows: weekly ingest, monitoring, retraining when it says so, canary under traffic."""
        self.tell.chapter(
            f"The world moves on: replaying April to {self.pace.until:%B}, {self.pace.share:.0%} of all flights are scored"
        )
        self.tell.say(
            "Data time runs about 50,000 times faster than the wall clock; it stands still while a model is trained and judged."
        )
        for week in self.weeks(HISTORY_ENDS, self.pace.until):
            self._live_through(week)
            self._while_training()
            self._tell_decisions()

    def drill(self) -> None:
        """A sabotaged challenger: the gate refuses it; forced past the gate, the canary rolls it back."""
        self.tell.chapter("A sabotaged challenger: its training labels are shuffled")
        trained = self.airflow.trigger(f"{self._name}_retrain", {"drill": True, "reason": "fire drill: will the gate refuse it?"})
        self.tell.wait("The drill's gate", lambda: self._ended("retrain", trained), limit=300)
        self._tell_decisions()
        self._conclude_rollout()
        self.tell.say("Now a person forces it past the gate, straight into the canary.")
        conf = {"drill": True, "force": True, "skip_shadow": True, "reason": DRILL_REASON}
        forced = self.airflow.trigger(f"{self._name}_retrain", conf)
        before = self._last_seq
        self.tell.wait("The forced release", lambda: self._answering(lambda: self._ended("retrain", forced)), limit=300)
        start = self._next_week
        for week in self.weeks(start, start + timedelta(days=28)):
            self._live_through(week)
            self._tell_decisions()
            if self._happened("rolled_back", before):
                return
        raise StackError("The sabotaged challenger was not rolled back within four weeks of traffic: see `everloop why`")

    def settle(self) -> None:
        """Let everything that is under way come to its end."""
        dags = tuple(f"{self._name}_{suffix}" for suffix in ("ingest", "monitor", "rollout", "score"))
        self.tell.wait("All runs to end", lambda: not any(self._active(dag) for dag in dags) and self._parked(), limit=240)
        self._tell_decisions()

    def farewell(self) -> None:
        """What waits for the person who looks around now."""
        for question in self.airflow.questions():
            self.tell.say(f"One question is left for you, under Required Actions in Airflow: {question['subject']}")

    def past(self) -> None:
        """Two weeks of March are backfilled again, half a year late: nothing may change and nothing be released."""
        self.tell.chapter("Two weeks of March are backfilled again, half a year late")
        before, written = fingerprints(self.loop), self._last_seq
        dag, since = f"{self._name}_ingest", {run["dag_run_id"]: run["end_date"] for run in self._backfills()}
        self.airflow.backfill(dag, MARCH[0], MARCH[-1], max_active_runs=1, again=True)
        self.tell.wait("The backfill of March", lambda: self._reworked(since), limit=180)
        self.settle()
        self.past_changed = changed(before, fingerprints(self.loop))
        released = [e for e in self.loop.ledger.entries(self._name, after=written) if e.action in ("released", "promoted")]
        moved = ", ".join(self.past_changed) or "nothing"
        self.tell.say(
            f"Changed in lake and online store: {moved}; released: {len(released) or 'nothing'}. A backfill never promotes."
        )

    def housekeeping(self) -> None:
        """The last week is scored in one batch and written back; then the daily upkeep runs."""
        self.tell.chapter("Batch scores go back to the airline's database; the ledger is verified")
        last = max(self.loop.lake.intervals("flights"))
        self.airflow.backfill(f"{self._name}_score", last, last)
        upkeep = self.airflow.trigger("everloop_upkeep")
        self.tell.wait("The batch scores", lambda: self._written_back() > 0, limit=120)
        self.tell.wait("The upkeep", lambda: self.airflow.run_state("everloop_upkeep", upkeep) == "success", limit=120)
        self.tell.say(
            f"{self._written_back():,} predictions lie in the airline's table {WRITTEN_BACK}; upkeep found the ledger whole"
        )

    def _written_back(self) -> int:
        """Rows in the airline's table of predictions, once the batch has ended."""
        if not self.airflow.runs(f"{self._name}_score", ("success",)):
            return 0
        with connect(self._source) as connection:
            row = connection.execute(f"SELECT count(*) FROM {WRITTEN_BACK}").fetchone()
        return int(row[0]) if row else 0

    def _live_through(self, week: Interval) -> None:
        """One week: requests and outcomes as they come, then the week's rows and files, then wait for the ingest."""
        report = self.replay.play(week)
        self.failed_requests += report.failed
        began = time.monotonic()
        self._arrive(week)
        self.tell.wait(f"The ingest of {week}", lambda: self._ingested(week), limit=180, every=0.3)
        state = self._state
        trial = f", {state.stage} {state.challenger or state.previous} at {state.weight:.0%}" if state.rollout else ""
        self.tell.say(
            f"{week.start:%d %b}: {report.rows:,} flights scored in {report.seconds:.1f} s, {report.failed} failed, "
            f"ingested in {time.monotonic() - began:.1f} s{trial}"
        )

    def _while_training(self) -> None:
        """Data time stands still while a training run is under way."""
        if runs := self._active(f"{self._name}_retrain"):
            self.tell.say("  The monitor asked for a new model: data time stands still until it is judged")
            run = str(runs[0]["dag_run_id"])
            self.tell.wait("The retraining", lambda: self._answering(lambda: self._ended("retrain", run)), limit=420)
            self.tell.wait(
                "The rollout to begin", lambda: not self._active(f"{self._name}_rollout") or self._checked(), limit=120
            )

    def _conclude_rollout(self) -> None:
        """Play weeks until no rollout is under way, so that the drill meets a settled champion."""
        start = self._next_week
        for week in self.weeks(start, start + timedelta(days=35)):
            if self._state.rollout is None:
                return
            self._live_through(week)
            self._tell_decisions()

    def _parked(self) -> bool:
        """Whether no training runs, but for one that waits for a person."""
        return not self._active(f"{self._name}_retrain") or bool(self.airflow.questions())

    def _arrive(self, week: Interval) -> None:
        settings = self.loop.settings
        airline.arrive(self._source, settings.landing, week, settings.s3_endpoint)

    def _backfilled(self, total: int) -> bool | str:
        runs = self._backfills()
        if failed := [run["dag_run_id"] for run in runs if run["state"] == "failed"]:
            raise StackError(f"Backfill runs failed: {', '.join(failed)}; see them in Airflow's UI")
        done = sum(run["state"] == "success" for run in runs)
        return True if done == total else f"{done} of {total} weeks ingested"

    def _backfills(self) -> list[dict[str, Any]]:
        return [run for run in self.airflow.runs(f"{self._name}_ingest") if run["run_type"] == "backfill"]

    def _reworked(self, since: dict[str, str]) -> bool:
        """Whether March's runs have ended again since."""
        again = [run for run in self._backfills() if run["state"] == "success" and run["end_date"] != since[run["dag_run_id"]]]
        return len(again) == len(MARCH)

    def _first_champion(self) -> bool | str:
        if self._state.champion:
            return True
        return self._answering(lambda: False)

    def _answering(self, done: Callable[[], bool]) -> bool:
        """Approve whatever waits for a person, then say whether it is done."""
        for question in self.airflow.questions():
            self._approve(question)
        self._tell_decisions()
        return done()

    def _approve(self, question: dict[str, Any]) -> None:
        self.tell.say(f"  A person is asked: {question['subject']} - the demo answers Approve, through Airflow's API")
        time.sleep(5)  # a resume that is faster than the task's own parking can fail the task (apache/airflow 67287)
        self.airflow.answer(question, "Approve")

    def _ingested(self, week: Interval) -> bool:
        return week.start in self.loop.lake.intervals("flights") and not self._active(f"{self._name}_ingest")

    def _checked(self) -> bool:
        return self._state.stage not in ("idle", "check")

    def _active(self, dag: str) -> list[dict[str, Any]]:
        return self.airflow.runs(dag, ACTIVE)

    def _ended(self, graph: str, run: str) -> bool:
        state = self.airflow.run_state(f"{self._name}_{graph}", run)
        if state == "failed":
            raise StackError(f"Run {run} of {self._name}_{graph} failed: see it in Airflow's UI, or `everloop logs scheduler`")
        return state == "success"

    @property
    def _next_week(self) -> datetime:
        return max(self.loop.lake.intervals("flights")) + self.loop.use_case.interval

    @property
    def _last_seq(self) -> int:
        return self.loop.ledger.head(self._name)[0]

    def _happened(self, action: str, after: int) -> bool:
        return bool(self.loop.ledger.entries(self._name, after=after, action=action))

    def _tell_decisions(self) -> None:
        """Tell every ledger row that was written since the last time."""
        entries: list[Entry] = self.loop.ledger.entries(self._name, after=self._told)
        for entry in entries:
            reason = textwrap.shorten(entry.reason, REASON_WIDTH, placeholder=" ...")
            self.tell.say(f"  {entry.action.replace('_', ' ')}: {entry.subject} by {entry.actor} - {reason}")
            self._told = entry.seq
