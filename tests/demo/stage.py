"""A loop and an Airflow without processes: what the graphs would do is done by `Stage`, when and as a test says."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from rich.console import Console

from everloop.decide.release.state import ReleaseState
from everloop.demo.loop_watch import LoopWatch
from everloop.demo.narrator import Narrator
from everloop.demo.replay import Failure, ReplayReport
from everloop.demo.retries import steady
from everloop.interval import Interval
from everloop.ports import Decision
from everloop.release import Bundle
from fakes.lake import MemoryLake
from fakes.ledger import InMemoryLedger
from fakes.measurements import InMemoryMeasurements
from fakes.registry import InMemoryRegistry
from fakes.scorer import InMemoryScorer
from fakes.traffic import InMemoryTraffic
from steps.conftest import toy_bundle, toy_use_case

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
START, WEEK = datetime(2013, 1, 1, tzinfo=UTC), timedelta(days=7)


class Clock:
    """Time that goes by only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.awake: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.awake()


class StillAirflow:
    """Airflow in which nothing runs but what a test puts there."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.states: dict[str, str] = {}
        self.asking: list[dict[str, Any]] = []
        self.triggered: list[tuple[str, Any]] = []
        self.on_trigger: Callable[[str, Any, str], None] = lambda dag, conf, run: None

    def runs(self, dag: str, states: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        return [{"dag_run_id": f"{dag}-1", "state": "running"}] if dag in self.running else []

    def run_state(self, dag: str, run: str) -> str:
        return self.states.get(run, "running")

    def tasks_in_state(self, *states: str) -> list[dict[str, Any]]:
        return []

    def questions(self) -> list[dict[str, Any]]:
        return self.asking

    def answer(self, question: dict[str, Any], option: str) -> None:
        assert option == "Approve"
        self.asking = [one for one in self.asking if one != question]

    def trigger(self, dag: str, conf: Any = None) -> str:
        run = f"run-{len(self.triggered) + 1}"
        self.triggered.append((dag, conf))
        self.on_trigger(dag, conf, run)
        return run


def question(run: str) -> dict[str, Any]:
    return {"subject": "May it meet traffic?", "task_instance": {"dag_run_id": run}}


class Stage:
    """The loop of the toys, its Airflow, its clock and its audience."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.airflow, self.out = clock, StillAirflow(), io.StringIO()
        self.bundles: dict[str, Bundle] = {str(n): toy_bundle(START + n * WEEK) for n in (1, 2, 3)}
        self.loop: Any = SimpleNamespace(
            use_case=toy_use_case(end=START + 52 * WEEK),
            ledger=InMemoryLedger(),
            lake=MemoryLake(),
            traffic=InMemoryTraffic(),
            measurements=InMemoryMeasurements(),
            registry=InMemoryRegistry(*self.bundles.values()),
            scorer=InMemoryScorer(),
            settings=SimpleNamespace(landing="", s3_endpoint=None, scorer="", api_key=None, connection=lambda name: name),
        )
        self.watch = LoopWatch(self.loop, self.airflow, Narrator(Console(file=self.out, width=200)))  # type: ignore[arg-type]
        self.watch.steady = steady(pause=0)
        self.played: list[Interval] = []
        self.report = ReplayReport()
        self.counted: Counter[str] = Counter()

    def id(self, name: str) -> str:
        return self.bundles[name].id

    def write(self, action: str, subject: str, after: ReleaseState | None = None, **evidence: Any) -> None:
        seq, state = self.loop.ledger.head("toys")
        decision = Decision(actor="ann", action=action, subject=subject, after=after or state, reason="so", evidence=evidence)
        self.loop.ledger.append("toys", decision, expected=seq, at=NOW)

    def ingest(self, week: Interval) -> None:
        rows = pa.table({"key": pa.array(["a"]), "event_time": pa.array([week.start], pa.timestamp("us", "UTC"))})
        self.loop.lake.replace("flights", rows, week)

    def monitor(self, week: Interval) -> None:
        self.loop.measurements.advance("toys", "monitor", week.end)

    def play(self, week: Interval) -> ReplayReport:
        """The replay's part."""
        self.played.append(week)
        return self.report

    @property
    def said(self) -> str:
        return self.out.getvalue()


REFUSED = Failure("score", 422, "no such colour")
AWAY = Failure("score", None, "refused")
