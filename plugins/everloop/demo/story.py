"""The demo: a model is trained on real flights, released, outlived by the world, retrained, released again, and defended."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from everloop.adapters.database import connect
from everloop.decide.release.rollout import Kind
from everloop.decide.release.state import Stage
from everloop.demo import airline
from everloop.demo.airflow_client import AirflowClient
from everloop.demo.loop_watch import REASON_WIDTH, LoopWatch
from everloop.demo.narrator import Narrator
from everloop.demo.past import changed, fingerprints
from everloop.demo.replay import Replay
from everloop.demo.verdict import PROMOTIONS
from everloop.demo.weeks import Weeks
from everloop.errors import StackError

if TYPE_CHECKING:
    from everloop.wiring import Loop

GRAPHS = ("monitor", "retrain", "rollout", "score", "rollback")
UPKEEP = "everloop_upkeep"
HISTORY_ENDS = datetime(2013, 4, 2, tzinfo=UTC)
AUTUMN = datetime(2013, 10, 1, tzinfo=UTC)
LATEST = datetime(2013, 11, 19, tzinfo=UTC)
"""When the drill begins at the latest: it takes a week or two, and the flights end with the year."""
MARCH = (datetime(2013, 3, 5, tzinfo=UTC), datetime(2013, 3, 12, tzinfo=UTC))
BACKFILL_RUNS = 2
"""Weeks that are backfilled side by side: one a core."""
WRITTEN_BACK = "delay_predictions"
DRILL_REASON = "fire drill: can the canary stop what a person waves through?"


@dataclass(frozen=True)
class Pace:
    """How much of the world is played: the share of flights that are scored, and until when; longer until a second one serves."""

    share: float = 0.2
    until: datetime = AUTUMN


class Story:
    """Plays the story against a running stack; every act is one method, told by the narrator."""

    def __init__(self, loop: Loop, airflow: AirflowClient, narrator: Narrator, pace: Pace) -> None:
        self.loop, self.airflow, self.tell, self.pace = loop, airflow, narrator, pace
        self.watch = LoopWatch(loop, airflow, narrator)
        settings = loop.settings
        replay = Replay(settings.scorer, settings.api_key, loop.use_case, pace.share, say=narrator.say)
        self.weeks = Weeks(self.watch, replay)
        self.past_changed: list[str] = []

    @property
    def _name(self) -> str:
        return self.loop.use_case.name

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
        self.watch.steady(airline.create, self.weeks.source)
        weeks = list(self.weeks.between(self.loop.use_case.start, HISTORY_ENDS))
        for week in weeks:
            self.weeks.arrive(week)
        self.airflow.unpause(f"{self._name}_ingest")
        self._backfill(weeks[0].start, weeks[-1].start)
        self.watch.wait("The backfill of January to March", lambda: self._backfilled(weeks[0].start, weeks[-1].start, len(weeks)))
        rows = self.loop.lake.read("flights").num_rows
        refused = self.loop.lake.read("flights_quarantine").num_rows
        self.tell.say(f"{rows:,} flights published, {refused:,} rows in quarantine with the rule that they broke")

    def first_release(self) -> None:
        """The first model: trained, judged against absolute floors, approved by a person, released."""
        self.tell.chapter("The first model: train, judge, ask a person, release")
        for graph in GRAPHS:
            self.airflow.unpause(f"{self._name}_{graph}")
        self.airflow.unpause(UPKEEP)
        trained = self.airflow.trigger(f"{self._name}_retrain", {"reason": "the first model"})
        self.watch.wait("The first model", lambda: self._ended(trained))
        self.watch.wait("The first release", self._first_champion)
        self.watch.tell_decisions()

    def seasons(self) -> None:
        """The world moves on; the loop follows: weekly ingest, monitoring, retraining when it says so, canary under traffic."""
        until = min(self.pace.until, LATEST)
        self.tell.chapter(f"The world moves on: replaying April to {until:%B}, {self.pace.share:.0%} of all flights are scored")
        self.tell.say(
            "Data time runs tens of thousands of times faster than the wall clock; at the end of each week it stands still until "
            "the loop has done what the week calls for."
        )
        for week in self.weeks.between(HISTORY_ENDS, until):
            self.weeks.live_through(week)
        self._until_settled()

    def drill(self) -> None:
        """A sabotaged challenger: the gate refuses it; forced past the gate, the canary rolls it back."""
        self.tell.chapter("A sabotaged challenger: its training labels are shuffled")
        conf: dict[str, Any] = {"drill": True, "reason": "fire drill: will the gate refuse it?"}
        trained = self.airflow.trigger(f"{self._name}_retrain", conf)
        self.watch.wait("The drill's gate", lambda: self._refused(trained))
        self.watch.tell_decisions()
        self._until_settled()
        self.tell.say("Now a person forces it past the gate, straight into the canary.")
        conf = {"drill": True, "force": True, "skip_shadow": True, "reason": DRILL_REASON}
        written = self.watch.head[0]
        forced = self.airflow.trigger(f"{self._name}_retrain", conf)
        self.watch.wait("The forced release", lambda: self._ended(forced))
        self._until_rolled_back(written)

    def settle(self) -> None:
        """Let everything that is under way come to its end."""
        graphs = ("ingest", "monitor", "rollout", "score")
        self.watch.wait("All runs to end", lambda: not any(map(self.watch.active, graphs)) and self._parked())
        self.watch.tell_decisions()

    def farewell(self) -> None:
        """What waits for the person who looks around now."""
        for question in self.airflow.questions():
            self.tell.say(f"One question is left for you, under Required Actions in Airflow: {question['subject']}")

    def past(self) -> None:
        """Two weeks of March are backfilled again, half a year late: nothing may change and nothing be released."""
        self.tell.chapter("Two weeks of March are backfilled again, half a year late")
        before, written = self.watch.steady(fingerprints, self.loop), self.watch.head[0]
        since = {run["dag_run_id"]: run["end_date"] for run in self._backfills()}
        self._backfill(MARCH[0], MARCH[-1], again=True)
        self.watch.wait("The backfill of March", lambda: self._reworked(since))
        self.settle()
        self.past_changed = changed(before, self.watch.steady(fingerprints, self.loop))
        released = [e for e in self.watch.entries(after=written) if e.action in ("released", "promoted")]
        moved = ", ".join(self.past_changed) or "nothing"
        self.tell.say(
            f"Changed in lake and online store: {moved}; released: {len(released) or 'nothing'}. A backfill never promotes."
        )

    def housekeeping(self) -> None:
        """The last week is scored in one batch and written back; then the daily upkeep runs."""
        self.tell.chapter("Batch scores go back to the airline's database; the ledger is verified")
        self.airflow.backfill(f"{self._name}_score", self.weeks.last, self.weeks.last)
        upkeep = self.airflow.trigger(UPKEEP)
        self.watch.wait("The batch scores", lambda: self._written_back() > 0)
        self.watch.wait("The upkeep", lambda: self.airflow.run_state(UPKEEP, upkeep) in ("success", "failed"))
        self.tell.say(
            f"{self._written_back():,} predictions lie in the airline's table {WRITTEN_BACK}; upkeep ended with "
            f"{self.airflow.run_state(UPKEEP, upkeep)}, which says whether the ledger is whole"
        )

    def _until_settled(self) -> None:
        """Weeks go by until a second release serves and none is on trial, so that the drill meets a settled champion."""
        while not self._settled() and (start := self.weeks.next) < LATEST:
            why = self.watch.why_waiting() or "no second release serves yet"
            self.tell.say(f"The world moves on beyond {start:%d %B}: {textwrap.shorten(why, REASON_WIDTH, placeholder=' ...')}")
            for week in self.weeks.between(start, start + self.loop.use_case.interval):
                self.weeks.live_through(week)

    def _settled(self) -> bool:
        return self.watch.promotions >= PROMOTIONS and self.watch.state.stage in (Stage.IDLE, Stage.WATCH)

    def _until_rolled_back(self, written: int) -> None:
        """Weeks go by until what was forced after row `written` is rolled back; `StackError` when the year ends before."""
        forced = {entry.subject for entry in self.watch.entries(Kind.FORCE.value, after=written)}
        for week in self.weeks.between(self.weeks.next, self.loop.use_case.end or LATEST):
            self.weeks.live_through(week, train=False)  # what the monitor asks for now is left to who looks around afterwards
            if any(entry.subject in forced for entry in self.watch.entries("rolled_back", after=written)):
                return
        raise StackError(f"The sabotaged challenger was not rolled back until the end of the year: {self.watch.why_waiting()}")

    def _first_champion(self) -> bool:
        state = self.watch.state
        if state.champion:
            return True
        if state.rollout is None:
            raise StackError(f"The first model was not let on: {self.watch.entries()[-1].reason}")
        self.watch.rung("rollout")
        return False

    def _ended(self, run: str) -> bool:
        """Whether a training run has ended; whatever waits for a person is approved meanwhile."""
        self.watch.answer_all()
        self.watch.tell_decisions()
        return self.watch.ended("retrain", run)

    def _refused(self, run: str) -> bool:
        """Whether the gate has refused what a run made. It is the gate's turn alone: nobody approves that run."""
        self.watch.answer_all(but=run)
        if any(question["task_instance"]["dag_run_id"] == run for question in self.airflow.questions()):
            raise StackError("The gate let a model on that has learnt from shuffled labels: see `everloop why flights`")
        return self.watch.ended("retrain", run)

    def _parked(self) -> bool:
        """Whether no training runs, but for one that waits for a person."""
        return not self.watch.active("retrain") or bool(self.airflow.questions())

    def _backfill(self, first: datetime, last: datetime, *, again: bool = False) -> None:
        self.airflow.backfill(f"{self._name}_ingest", first, last, max_active_runs=1 if again else BACKFILL_RUNS, again=again)

    def _backfilled(self, first: datetime, last: datetime, total: int) -> bool | str:
        runs = self._backfills()
        if failed := [run["dag_run_id"] for run in runs if run["state"] == "failed"]:
            raise StackError(f"Backfill runs failed: {', '.join(failed)}; see them in Airflow's UI")
        if len(runs) < total and not self.watch.active("ingest"):
            self._backfill(first, last)  # Airflow was interrupted while it made the runs: those that are there stay
        done = sum(run["state"] == "success" for run in runs)
        return True if done == total else f"{done} of {total} weeks ingested"

    def _backfills(self) -> list[dict[str, Any]]:
        return [run for run in self.airflow.runs(f"{self._name}_ingest") if run["run_type"] == "backfill"]

    def _reworked(self, since: dict[str, str]) -> bool:
        """Whether March's runs have ended again since."""
        again = [run for run in self._backfills() if run["state"] == "success" and run["end_date"] != since[run["dag_run_id"]]]
        return len(again) == len(MARCH)

    def _written_back(self) -> int:
        """Rows in the airline's table of predictions, once the batch has ended."""
        if not self.airflow.runs(f"{self._name}_score", ("success",)):
            return 0
        return int(self.watch.steady(self._count))

    def _count(self) -> int:
        with connect(self.weeks.source) as connection:
            row = connection.execute(f"SELECT count(*) FROM {WRITTEN_BACK}").fetchone()
        return int(row[0]) if row else 0
