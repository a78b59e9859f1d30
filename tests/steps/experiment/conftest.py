"""A use case in whose traffic two releases can be compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from everloop.decide.policy import CostMatrix, ExperimentPlan, Metric
from everloop.decide.release.state import ReleaseState, Stage
from everloop.interval import Interval
from everloop.ports import Decision
from everloop.serve.answering.arms import CHALLENGER, assign
from everloop.steps import experiment
from everloop.use_case import UseCase
from fakes.lake import MemoryLake
from fakes.ledger import InMemoryLedger
from fakes.registry import InMemoryRegistry
from fakes.scorer import InMemoryScorer
from fakes.traffic import InMemoryTraffic, prediction

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
APRIL = datetime(2013, 4, 1, tzinfo=UTC)
SEGMENTS = {"size": "CASE WHEN size < 1 THEN 'small' ELSE 'large' END"}


class World:
    """All ports of one use case, a clock, and users who ask for scores. `old` serves, `new` is known."""

    def __init__(self, use_case: UseCase, registry: InMemoryRegistry, ids: dict[str, str], traffic: Any, ledger: Any) -> None:
        self.use_case, self.registry, self.ids = use_case, registry, ids
        self.scorer, self.lake, self.traffic, self.ledger = InMemoryScorer(), MemoryLake(), traffic, ledger
        self.now = NOW
        self._random = np.random.default_rng(7)
        self._asked = 0
        self._came = APRIL
        self.log: Callable[[list[dict[str, Any]]], None] = lambda rows: traffic.log("toys", rows)
        week = Interval(APRIL, APRIL + timedelta(days=7))
        self.lake.replace("toys", _examples(), week)
        self.put(ReleaseState(champion=ids["old"]))

    @property
    def state(self) -> ReleaseState:
        return self.ledger.head("toys")[1]

    @property
    def actions(self) -> list[str]:
        return [entry.action for entry in self.ledger.entries("toys")]

    def put(self, state: ReleaseState) -> None:
        seq, _ = self.ledger.head("toys")
        row = Decision(actor="ann", action="set", subject="toys", after=state, reason="so")
        self.ledger.append("toys", row, expected=seq, at=self.now)

    def plan(self, **changes: Any) -> ExperimentPlan:
        values = {
            "name": "ab", "control": self.ids["old"], "treatment": self.ids["new"], "metric": Metric.COST, "effect": 0.2,
            "rows": 1_000, "minimum_entities": 100,
        }  # fmt: skip
        return ExperimentPlan(**(values | changes))

    def start(self, plan: ExperimentPlan | None = None, **changes: Any) -> dict[str, Any]:
        asked = {"actor": "ann", "reason": "is it cheaper?", "now": self.now} | changes
        ports = (self.ledger, self.registry, self.scorer, self.lake, self.use_case)
        return experiment.start(*ports, plan or self.plan(), **asked)

    def stop(self, **changes: Any) -> dict[str, Any]:
        asked = {"actor": "ann", "reason": "enough", "now": self.now} | changes
        return experiment.stop(self.ledger, self.registry, self.use_case, **asked)

    def look(self) -> dict[str, Any]:
        return experiment.look(self.ledger, self.traffic, self.registry, self.lake, self.use_case, now=self.now)

    def wait(self, days: float) -> World:
        self.now += timedelta(days=days)
        return self

    def again(self) -> World:
        """From now on the same users ask as from the beginning, ten days later."""
        self._came, self._asked = self._came + timedelta(days=10), 0
        return self

    def users(
        self,
        count: int = 800,
        *,
        wrong: float = 0.3,
        better: float = 0.0,
        errors: float = 0.0,
        slow: bool = False,
        flags: Sequence[str] = (),
    ) -> World:
        """Users ask twice each. The control is wrong about the share `wrong`, the treatment about `better` less.

        With `slow` every user has a latency of their own. The treatment's answers earn `flags`.
        """
        state, rows, outcomes = self.state, [], []
        for _ in range(count):
            self._asked += 1
            for turn in range(2):
                row, truth = self._row(state, f"user{self._asked}", turn, wrong, better, errors)
                own = 1.0 + self._asked % 10
                earned = {"flags": list(flags) if row["arm"] == CHALLENGER else []}
                rows.append(row | earned | ({"latency_ms": own + self._random.random()} if slow else {}))
                outcomes.append((row["key"], truth, APRIL))
        self.log(rows)
        self.traffic.record_outcomes("toys", outcomes)
        return self

    def _row(
        self, state: ReleaseState, user: str, turn: int, wrong: float, better: float, errors: float
    ) -> tuple[dict[str, Any], bool]:
        random, key = self._random, f"{user}-{turn}-{self._came:%d}"
        truth = bool(random.random() < 0.5)
        arm = assign(state, user, key, 1.0)
        treated = arm.arm == CHALLENGER
        scores = {name: self._score(truth, share) for name, share in (("old", wrong), ("new", wrong - better))}
        own, beside = ("new", "old") if treated else ("old", "new")
        failed = treated and random.random() < errors
        shadowed = state.stage is Stage.EXPERIMENT
        row = prediction(
            key,
            entity=user,
            at=self.now + timedelta(seconds=5),
            as_of=self._came + timedelta(seconds=self._asked),
            arm=arm.arm,
            rollout=state.rollout,
            release=self.ids[own],
            score=None if failed else scores[own],
            decision=None if failed else scores[own] >= 0.5,
            shadow_release=self.ids[beside] if shadowed else None,
            shadow_score=scores[beside] if shadowed else None,
            features=json.dumps({"vector": {}, "request": {"colour": "red", "size": random.choice([0.5, 2.0])}}),
            error="ValueError: no clock" if failed else None,
        )
        return row, truth

    def _score(self, truth: bool, wrong: float) -> float:
        right = 0.8 if truth else 0.2
        return 1 - right if self._random.random() < wrong else right


def _examples() -> pa.Table:
    moments = pa.array([APRIL + timedelta(hours=i) for i in range(30)], pa.timestamp("us", "UTC"))
    rows = {"key": [f"k{i}" for i in range(30)], "colour": ["red"] * 30, "size": [1.0] * 30, "broke": [True] * 30}
    return pa.table(rows | {"made_at": moments, "seen_at": moments})


@pytest.fixture
def world(use_case_with: Callable[..., UseCase], registry: InMemoryRegistry, ids: dict[str, str]) -> World:
    use_case = use_case_with(cost=CostMatrix(false_positive=1.0, false_negative=3.0), slices=SEGMENTS)
    return World(use_case, registry, ids, InMemoryTraffic(), InMemoryLedger())
