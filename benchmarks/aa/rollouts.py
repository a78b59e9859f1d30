"""One rollout over the traffic of a world, by the code that decides in production, looked at until it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from benchmarks.aa import worlds
from benchmarks.aa.flown import Flown
from benchmarks.aa.traffic import NEW, OLD, START, Log, Traffic, taken
from everloop.decide.policy import CostMatrix, FairnessPolicy, RolloutPolicy
from everloop.decide.release.evidence import LoadCheck, from_traffic
from everloop.decide.release.rollout import UNJUDGED, Action, Kind, advance, begin
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.statistics.compare import costs
from everloop.decide.verdict import Outcome

ONLY_TOLD = frozenset({"rollout.estimated_cost", "rollout.cost", "rollout.parity", "rollout.sample_ratio", "rollout.traffic"})
"""What no stage before the watch waits for."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How rollouts are played: a policy, and how its clock runs beside that of the flights.

    `speed`: seconds of data time in a second of the wall clock. Looks are `every` so much data time, in the watch `watching`. A
    rollout that has neither ended nor come to its watch after `length` of traffic is stuck.
    """

    name: str
    policy: RolloutPolicy
    cost: CostMatrix
    groups: FairnessPolicy = UNJUDGED
    speed: float
    every: timedelta
    watching: timedelta
    length: timedelta


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look: when, in which stage, rows so far, `answers` of the release on trial in this stage, and what came of it."""

    week: float
    stage: Stage
    weight: float
    rows: int
    answers: int
    action: Action


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a rollout ended: `promoted` (or in its watch still), `rolled_back`, `paused`, `stuck` or `starved`; `checks`: by what.

    Starved is one that is paused or stuck in a stage that has had fewer answers than its policy asks for.

    `excess`: by which share the release on trial cost more than the other one on all rows of the traffic.
    """

    salt: int
    how: str
    stage: str
    checks: tuple[str, ...]
    looks: int
    rows: int
    weeks: float
    excess: float
    why: str


def play(flown: Flown, world: str, salt: int, setup: Setup) -> Iterator[Look]:
    """Every look of rollout `salt`."""
    return looks(worlds.traffic(world, flown, salt, setup.length), f"aa/{world}/{salt}", setup, flown.views.tolist())


def looks(traffic: Traffic, rollout: str, setup: Setup, views: Sequence[str]) -> Iterator[Look]:
    """Every look of a rollout over `traffic`; its name is what the hash of arms takes. Both releases read all `views`."""
    threshold = setup.cost.threshold
    log = Log(traffic, rollout, setup.policy.shadow_share, threshold, setup.speed)
    state = begin(ReleaseState(champion=OLD, since=START), NEW, rollout, START, reason="the gate passed").after
    now, end = traffic.asked[0], traffic.asked[-1]
    options: dict[str, Any] = {"cost": setup.cost, "thresholds": {OLD: threshold, NEW: threshold}, "check": LoadCheck.of([0.5])}
    options |= taken(from_traffic, views=dict.fromkeys((OLD, NEW), dict.fromkeys(views)))
    columns = setup.groups.columns if setup.groups.judges else ()
    while True:
        evidence = from_traffic(log.seen(now), state, groups=columns, **options)
        action = advance(state, evidence, setup.policy, log.wall(now), setup.groups)
        week = (now - traffic.asked[0]) / np.timedelta64(7, "D")
        answers = evidence.candidate.requests
        yield Look(week=float(week), stage=state.stage, weight=state.weight, rows=log.rows, answers=answers, action=action)
        state = action.after
        if state.stage in (Stage.IDLE, Stage.PAUSED) or now >= end:
            return
        now = min(end, now + np.timedelta64(setup.watching if state.stage is Stage.WATCH else setup.every))
        log.serve(state, now)


def ended(flown: Flown, world: str, salt: int, setup: Setup) -> Ended:
    """How rollout `salt` ended."""
    traffic = worlds.traffic(world, flown, salt, setup.length)
    *before, last = looks(traffic, f"aa/{world}/{salt}", setup, flown.views.tolist())
    how, outcome = _how(last, setup.policy)
    held = [reason for reason in last.action.verdict.reasons if reason.outcome is outcome]
    if outcome is not Outcome.FAIL:
        held = [reason for reason in held if how != "promoted" and reason.check not in ONLY_TOLD]
    return Ended(
        salt=salt,
        how=how,
        stage=f"{last.stage} {last.weight:g}",
        checks=tuple(sorted({reason.check for reason in held})),
        looks=len(before) + 1,
        rows=last.rows,
        weeks=round(last.week, 2),
        excess=_excess(traffic, setup.cost),
        why="; ".join(reason.text for reason in held),
    )


def _excess(traffic: Traffic, cost: CostMatrix) -> float:
    new, old = (costs(traffic.label == 1, scores >= cost.threshold, cost).mean() for scores in traffic.scores)
    return round(float(new / old) - 1, 5)


def _how(last: Look, policy: RolloutPolicy) -> tuple[str, Outcome]:
    """How it ended, and which outcome of a check tells why."""
    if last.action.kind is Kind.ROLL_BACK:
        return "rolled_back", Outcome.FAIL
    if last.stage is Stage.WATCH or last.action.kind is Kind.PROMOTE:
        return "promoted", Outcome.INCONCLUSIVE
    if last.stage is Stage.CANARY and last.answers < policy.minimum_requests:
        return "starved", Outcome.INCONCLUSIVE
    return ("paused" if last.action.kind is Kind.PAUSE else "stuck"), Outcome.INCONCLUSIVE
