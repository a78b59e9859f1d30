"""Simulated traffic of a rollout, batch by batch, as the counts that a rollout is judged by; and the rollout that looks at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.evidence import (
    LATENCY_EDGES,
    Arm,
    Assigned,
    DecisionPairs,
    Evidence,
    LoadCheck,
    PairedCosts,
)
from everloop.decide.release.rollout import Kind, advance, begin
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.statistics.clusters import Clusters

START = datetime(2026, 1, 1, tzinfo=UTC)
Cells = tuple[tuple[float, float, float], ...]
"""Costs of both releases' decisions on a labelled row, `(candidate's, baseline's, chance)`."""

EQUAL: Cells = (
    (0.0, 0.0, 0.62), (1.0, 1.0, 0.10), (3.0, 3.0, 0.14), (1.0, 0.0, 0.04), (0.0, 1.0, 0.04), (3.0, 0.0, 0.03), (0.0, 3.0, 0.03),
)  # fmt: skip
"""Two different models of equal cost, 0.67 a row, that decide 14 % of the rows differently: what two models of the flights do."""


@dataclass(frozen=True, kw_only=True)
class World:
    """Batches of `requests` requests a minute. Latencies are log-normal with this median (ms) and spread of their logarithm."""

    requests: int = 1_000
    minutes: int = 50
    errors: tuple[float, float] = (0.005, 0.005)
    median_ms: tuple[float, float] = (8.0, 8.0)
    spread: float = 0.6
    cells: Cells = EQUAL
    labelled: float = 1.0
    ripen: int = 2


@dataclass
class Seen:
    """What happened: rows the candidate answered, with errors; labelled pairs; the end and its minute (`None`: never)."""

    answered: int = 0
    failed: int = 0
    requests: int = 0
    labels: int = 0
    ended: Kind | None = None
    because: str = ""
    looks: list[Evidence] = field(default_factory=list)


def play(world: World, policy: RolloutPolicy, chance: np.random.Generator, *, keep: bool = False) -> Seen:
    """One rollout over the traffic of `world`, looked at after every batch, until it is rolled back or the traffic ends."""
    state = begin(ReleaseState(champion="old", since=START), "new", "r", START, reason="played").after
    seen, stage = Seen(), _Stage()
    pairs, costs, waiting = DecisionPairs(), PairedCosts(largest=3.0), list[PairedCosts]()
    for minute in range(1, world.minutes + 1):
        weight = 1.0 if state.stage is Stage.WATCH else state.weight
        stage.add(world, weight, chance)
        shadowed = chance.binomial(world.requests, policy.shadow_share)
        pairs += _decisions(world.cells, shadowed, chance)
        waiting.append(_costs(world.cells, chance.binomial(shadowed, world.labelled), chance))
        if len(waiting) > world.ripen:
            costs += waiting.pop(0)
        evidence = Evidence(
            check=LoadCheck.of([0.5]), traffic=stage.traffic, candidate=stage.candidate, baseline=stage.baseline, pairs=pairs,
            costs=costs, assigned=stage.assigned if state.stage is Stage.CANARY else Assigned(),
        )  # fmt: skip
        action = advance(state, evidence, policy, START + timedelta(minutes=minute))
        seen.answered, seen.failed = seen.answered + stage.last.requests, seen.failed + stage.last.errors
        seen.requests, seen.labels = minute * world.requests, costs.count
        if keep:
            seen.looks.append(evidence)
        if action.kind is Kind.ROLL_BACK:
            seen.ended, seen.because = action.kind, action.reason
            return seen
        if action.after.since != state.since:
            stage = stage.next(action.after)
        state = action.after
        if state.stage is Stage.IDLE:
            seen.ended = action.kind
            if not keep:
                return seen
    return seen


@dataclass
class _Stage:
    """The counts since a stage began. In WATCH, the other release is known from the rollout before."""

    candidate: Arm = field(default_factory=Arm)
    baseline: Arm = field(default_factory=Arm)
    last: Arm = field(default_factory=Arm)
    assigned: Assigned = field(default_factory=Assigned)
    traffic: int = 0
    before: Arm = field(default_factory=Arm)

    def add(self, world: World, weight: float, chance: np.random.Generator) -> None:
        ours = int(chance.binomial(world.requests, weight))
        self.last = answered(ours, world, 0, chance)
        theirs = answered(world.requests - ours, world, 1, chance)
        self.candidate, self.baseline, self.before = self.candidate + self.last, self.baseline + theirs, self.before + theirs
        self.assigned = Assigned(candidate=self.candidate.requests, baseline=self.baseline.requests)
        self.traffic += world.requests

    def next(self, state: ReleaseState) -> _Stage:
        alone = state.stage is Stage.WATCH or state.weight == 1
        return _Stage(before=self.before, baseline=self.before if alone else Arm())


def answered(requests: int, world: World, side: int, chance: np.random.Generator) -> Arm:
    """So many requests as the candidate (side 0) or the baseline (1) answers them."""
    errors, times = world.errors[side], world.median_ms[side] * np.exp(world.spread * chance.standard_normal(requests))
    buckets = np.bincount(np.searchsorted(LATENCY_EDGES, times), minlength=len(LATENCY_EDGES) + 1)
    return Arm(requests=requests, errors=int(chance.binomial(requests, errors)), latency=tuple(buckets.tolist()))


def _decisions(cells: Cells, count: int, chance: np.random.Generator) -> DecisionPairs:
    """Decisions differ where costs do."""
    differ = sum(share for new, old, share in cells if new != old)
    return DecisionPairs(
        different=Clusters.independent(count, int(chance.binomial(count, differ))), unscored=Clusters.independent(count, 0)
    )  # fmt: skip


def _costs(cells: Cells, count: int, chance: np.random.Generator) -> PairedCosts:
    drawn = chance.multinomial(count, [share for _, _, share in cells])
    found = tuple((new, old, int(rows)) for (new, old, _), rows in zip(cells, drawn, strict=True) if rows)
    return PairedCosts(cells=tuple(sorted(found)), largest=3.0)
