"""One A/B experiment of two equally good releases over the traffic of a world, read again and again until it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from benchmarks.aa import worlds
from benchmarks.aa.flown import Flown
from benchmarks.aa.traffic import NEW, OLD, START, Log, Traffic, taken
from everloop.decide.experiment.course import advance, begin
from everloop.decide.experiment.observed import observe
from everloop.decide.experiment.readout import Readout, read
from everloop.decide.policy import CostMatrix, ExperimentPlan, Metric, RolloutPolicy
from everloop.decide.release import evidence
from everloop.decide.release.rollout import Kind
from everloop.decide.release.state import ReleaseState
from everloop.decide.verdict import Outcome

PLAN = ExperimentPlan(name="aa", control=OLD, treatment=NEW, metric=Metric.COST, effect=0.05, rows=25_000)
"""Four weeks of the flights, half of them each release's."""
EVERY = timedelta(days=2)
EFFECT = "experiment.effect"


@dataclass(frozen=True, kw_only=True)
class Concluded:
    """How an experiment ended: `stopped` by a guardrail or a broken split (`checks`), or with what it shows."""

    salt: int
    how: str
    checks: tuple[str, ...]
    looks: int
    rows: int
    why: str


def readouts(
    traffic: Traffic, layer: str, cost: CostMatrix, policy: RolloutPolicy, views: Sequence[str]
) -> Iterator[tuple[int, Readout]]:
    """Rows so far and what they show, every second day until the experiment has ended."""
    state = begin(ReleaseState(champion=OLD, since=START), PLAN, layer, START, actor="A/A", reason="no difference").after
    log = Log(traffic, str(state.rollout), policy.shadow_share, cost.threshold, speed=1.0)
    options = taken(observe, own_views=_own_views(views))
    for number in range(1, PLAN.maximum_time // EVERY + 1):
        now = traffic.asked[0] + np.timedelta64(number * EVERY)
        log.serve(state, now)
        seen = observe(log.seen(now), PLAN.metric, cost=cost, threshold=cost.threshold, covariate=PLAN.covariate, **options)
        readout = read(PLAN, seen, policy)
        yield log.rows, readout
        if advance(state, PLAN, readout, log.wall(now)).kind is not Kind.WAIT:
            return


def _own_views(views: Sequence[str]) -> Any:
    """Both releases read the same views; earlier code has no word for it."""
    found = getattr(evidence, "OwnViews", None)
    return found and found.of(dict.fromkeys((OLD, NEW), dict.fromkeys(views)), NEW, OLD)


def concluded(flown: Flown, world: str, salt: int, cost: CostMatrix, policy: RolloutPolicy) -> Concluded:
    """How experiment `salt` ended."""
    traffic = worlds.traffic(world, flown, salt, PLAN.maximum_time + EVERY)
    *before, (rows, last) = readouts(traffic, f"aa/{world}/{salt}", cost, policy, flown.views.tolist())
    against = [one for one in last.verdict.reasons if one.outcome in (Outcome.FAIL, Outcome.ERROR) and one.check != EFFECT]
    return Concluded(
        salt=salt,
        how=last.overall.conclusion.value if last.trusted else "stopped",
        checks=tuple(sorted({reason.check for reason in against})),
        looks=len(before) + 1,
        rows=rows,
        why="; ".join(reason.text for reason in against),
    )
