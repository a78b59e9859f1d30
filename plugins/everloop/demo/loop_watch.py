"""What the loop is doing, read from its ledger, its lake and Airflow; and what a person would do about it."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from everloop.decide.release.rollout import Action, Kind
from everloop.decide.release.state import ReleaseState, Stage
from everloop.demo.airflow_client import ACTIVE, UNFINISHED, AirflowClient
from everloop.demo.narrator import Narrator
from everloop.demo.retries import steady
from everloop.errors import StackError
from everloop.steps import rollout
from everloop.steps.monitor.outcomes import CURSOR

if TYPE_CHECKING:
    from everloop.interval import Interval
    from everloop.ports import Entry
    from everloop.wiring import Loop

REASON_WIDTH = 300
QUIET = 60.0
"""Seconds in which no run is active although one was rung for, before one is started by hand: Airflow can strand the last asset
event of a burst (apache/airflow 56050)."""
RINGS = 3
"""Runs of a graph that are started by hand in one wait."""
PARKED = 5.0
"""Seconds before an approval is answered: a resume faster than the task's own parking can fail it (apache/airflow 67287)."""


class LoopWatch:
    """One loop and the Airflow that runs it. Reads are tried again while a part of the stack is being restarted."""

    def __init__(self, loop: Loop, airflow: AirflowClient, tell: Narrator) -> None:
        self.loop, self.airflow, self.tell = loop, airflow, tell
        self.name = loop.use_case.name
        self.steady = steady(tell.say)
        self._told = 0
        self._idle_since: dict[str, float] = {}
        self._rings: Counter[str] = Counter()

    @property
    def state(self) -> ReleaseState:
        """Where the releases stand."""
        return self.head[1]

    @property
    def head(self) -> tuple[int, ReleaseState]:
        """The ledger's last row and the state it left."""
        found: tuple[int, ReleaseState] = self.steady(self.loop.ledger.head, self.name)
        return found

    def entries(self, action: str | None = None, after: int = 0) -> list[Entry]:
        """Rows of the ledger."""
        found: list[Entry] = self.steady(self.loop.ledger.entries, self.name, after=after, action=action)
        return found

    @property
    def promotions(self) -> int:
        """How many releases have become champion."""
        return len(self.entries("promoted"))

    def active(self, graph: str) -> list[dict[str, Any]]:
        """The runs of a graph that have not ended, newest first."""
        return self.airflow.runs(f"{self.name}_{graph}", ACTIVE)

    def ended(self, graph: str, run: str) -> bool:
        """Whether a run ended well; `StackError` when it failed."""
        state = self.airflow.run_state(f"{self.name}_{graph}", run)
        if state == "failed":
            raise StackError(f"Run {run} of {self.name}_{graph} failed: see it in Airflow's UI, or `everloop logs scheduler`")
        return state == "success"

    def monitored(self, week: Interval) -> bool:
        """Whether a week is ingested, and the monitor has looked at it and decided."""
        cursor = self.steady(self.loop.measurements.cursor, self.name, CURSOR)
        return cursor is not None and cursor >= week.end

    def decided(self) -> bool:
        """Whether the rollout has nothing to decide on what is known so far: only more traffic would tell it more.

        By the very look that the rollout's own run takes, as if every stage had lasted long enough.
        """
        state = self.state
        if state.stage is Stage.CHECK:
            return False
        policy, now = self.loop.use_case.rollout, datetime.now(UTC)
        least = max(policy.minimum_time, policy.watch_time)
        return self._look(state, max(now, (state.since or now) + least)).kind is Kind.WAIT

    def why_waiting(self) -> str | None:
        """What a rollout under way waits for, in its own words."""
        state = self.state
        if state.rollout is None:
            return None
        return f"{state.challenger or state.champion} is in {state.stage}: {self._look(state, datetime.now(UTC)).reason}"

    def wait(self, what: str, done: Callable[[], bool | str], every: float = 1.0) -> None:
        """Wait as long as the loop, or Airflow, makes any progress."""
        self._rings.clear()
        self.tell.wait(what, done, self._moving, every=every)

    def rung(self, graph: str, conf: dict[str, Any] | None = None) -> None:
        """Asked again and again while a graph should run: starts it by hand when nothing has run for a while.

        `StackError` when that has not helped `RINGS` times in one wait.
        """
        if self.active(graph):
            self._idle_since.pop(graph, None)
            return
        since = self._idle_since.setdefault(graph, time.monotonic())
        if time.monotonic() - since > QUIET:
            if self._rings[graph] == RINGS:
                raise StackError(f"{RINGS} runs of {self.name}_{graph} came to nothing: see them in Airflow's UI")
            self._rings[graph] += 1
            self.tell.say(f"  No run of {self.name}_{graph} has begun for {QUIET:.0f} s: starting one by hand")
            self.airflow.trigger(f"{self.name}_{graph}", conf)
            self._idle_since.pop(graph)

    def answer_all(self, but: str | None = None) -> None:
        """Approve whatever waits for a person, apart from what run `but` asks."""
        for question in self.airflow.questions():
            if question["task_instance"]["dag_run_id"] != but:
                self.tell.say(f"  A person is asked: {question['subject']} - the demo answers Approve, through Airflow's API")
                time.sleep(PARKED)
                self.airflow.answer(question, "Approve")

    def tell_decisions(self) -> None:
        """Tell every ledger row that was written since the last time."""
        for entry in self.entries(after=self._told):
            reason = textwrap.shorten(entry.reason, REASON_WIDTH, placeholder=" ...")
            self.tell.say(f"  {entry.action.replace('_', ' ')}: {entry.subject} by {entry.actor} - {reason}")
            self._told = entry.seq

    def _look(self, state: ReleaseState, now: datetime) -> Action:
        loop = self.loop
        ports = (loop.ledger, loop.traffic, loop.registry, loop.scorer, loop.lake, loop.measurements)
        found: Action = self.steady(rollout.look, *ports, loop.use_case, state, now=now)
        return found

    def _moving(self) -> object:
        """Something that changes whenever anything goes on."""
        tasks = self.airflow.tasks_in_state(*UNFINISHED)
        return self.head[0], sorted(
            (task["dag_id"], task["dag_run_id"], task["task_id"], task["map_index"], task["state"], task["try_number"])
            for task in tasks
        )
