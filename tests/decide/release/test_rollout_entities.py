"""A/A rollouts of entities that are not alike, arms drawn by the scorer's own hash: nothing is wrong with the challenger."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from everloop.decide.policy import CostMatrix, RolloutPolicy
from everloop.decide.release.evidence import from_traffic, trial
from everloop.decide.release.rollout import Kind, advance, begin
from everloop.decide.release.state import ReleaseState, Stage
from everloop.serve.answering.arms import bucket

T0 = datetime(2026, 1, 1, tzinfo=UTC)
ROWS, LOOK = 8_000, 400
EVERY = timedelta(seconds=15)
POLICY = RolloutPolicy(
    steps=(0.1, 0.5), minimum_time=timedelta(minutes=10), minimum_requests=150, shadow_requests=150, watch_labels=300,
    watch_time=timedelta(hours=1), patience=timedelta(days=1),
)  # fmt: skip
SAME = {"weather": ("w", 60.0), "aircraft": ("a", None)}


@dataclass(frozen=True)
class World:
    """Rows (n,) of Zipf entities: a fifth of the entities lacks a view nearly always, no release can answer some of them, and one
    request in three hundred fails by chance. Days have a share of positives of their own.
    """

    entity: np.ndarray
    missing: np.ndarray
    hopeless: np.ndarray
    transient: np.ndarray
    shadowed: np.ndarray
    day: np.ndarray
    score: np.ndarray
    label: np.ndarray


def world(seed: int, worse: float = 0.0, never: float = 1 / 30) -> World:
    """`worse`: the share of requests that the challenger alone fails on; `never`: that of entities which none can answer."""
    rng, entities = np.random.default_rng(seed), 400
    size = 1 / np.arange(1, entities + 1)
    entity = rng.choice(rng.permutation(entities), ROWS, p=size / size.sum())
    lacks, hopeless = rng.random(entities) < 0.2, rng.random(entities) < never
    day = np.arange(ROWS) * 40 // ROWS
    chance = np.clip(rng.beta(2, 4, ROWS) + 0.1 * rng.normal(size=40)[day], 0.01, 0.99)
    return World(
        entity=np.array([f"user{one}" for one in entity], dtype=object),
        missing=np.where(lacks[entity], rng.random(ROWS) < 0.95, rng.random(ROWS) < 0.02),
        hopeless=hopeless[entity],
        transient=rng.random((2, ROWS)) < np.array([[1 / 300 + worse], [1 / 300]]),
        shadowed=rng.random(ROWS) < 0.3,
        day=day,
        score=chance,
        label=(rng.random(ROWS) < chance).astype(float),
    )


def served(of: World, state: ReleaseState, rows: slice) -> dict[str, Any]:
    """The log of these rows as the scorer writes it: who answered, who was scored beside, and who stood in for whom."""
    entity, score, new, old = of.entity[rows], of.score[rows], *trial(state)
    count = len(entity)
    watch = state.stage is Stage.WATCH
    buckets = {name: bucket(str(state.rollout), name) for name in set(entity.tolist())}
    ours = np.array([watch or buckets[name] < state.weight for name in entity])
    failed, other = (of.hopeless[rows] | np.where(ours, *both[:, rows]) for both in (of.transient, of.transient[::-1]))
    beside = of.shadowed[rows] | failed
    arm = np.where(ours & (not watch), "challenger", "champion")
    return {
        "request_id": np.arange(ROWS)[rows],
        "entity": entity,
        "at": np.datetime64(T0.replace(tzinfo=None), "us") + np.arange(ROWS)[rows] * np.timedelta64(EVERY),
        "as_of": np.datetime64("2013-04-01", "us") + of.day[rows].astype("timedelta64[D]"),
        "arm": arm.astype(object),
        "release": np.where(ours, new, old).astype(object),
        "score": np.where(failed, np.nan, score),
        "shadow_release": np.where(beside, np.where(ours, old, new), None),
        "shadow_score": np.where(beside & ~other, score, np.nan),
        "flags": np.fromiter((("missing:aircraft",) if one else () for one in of.missing[rows]), dtype=object, count=count),
        "error": np.where(failed, "ValueError: no", None),
        "latency_ms": np.full(count, 4.0),
        "label": of.label[rows],
    }


def play(of: World, salt: str, views: Any) -> list[Kind]:
    """What was done with the challenger, looked at after every 400 requests."""
    state, log, kinds = begin(ReleaseState(champion="old", since=T0), "new", salt, T0, reason="gate passed").after, [], []
    state = replace(state, stage=Stage.SHADOW)
    for first in range(0, ROWS, LOOK):
        log.append(served(of, state, slice(first, first + LOOK)))
        rows = {name: np.concatenate([part[name] for part in log]) for name in log[0]}
        seen = from_traffic(
            rows, state, cost=CostMatrix(false_positive=1, false_negative=2), thresholds={"old": 0.4, "new": 0.4}, views=views
        )
        action = advance(state, seen, POLICY, T0 + (first + LOOK) * EVERY)
        if action.kind is not Kind.WAIT:
            kinds.append(action.kind)
        if action.after.stage in (Stage.IDLE, Stage.PAUSED):
            return kinds
        state = action.after
    return kinds


ALL_THE_WAY = [Kind.ADVANCE, Kind.ADVANCE, Kind.PROMOTE, Kind.CONCLUDE]


def test_a_release_against_itself_goes_all_the_way_whatever_entities_the_hash_gives_it():
    ended = [play(world(seed), f"salt{seed}", {"new": SAME, "old": SAME}) for seed in range(20)]
    assert ended == [ALL_THE_WAY] * 20


def test_where_nobody_says_which_views_releases_read_it_is_not_rolled_back_either():
    """It may wait where the hash gave it the one entity with a sixth of the requests, which misses a view."""
    ended = [play(world(seed), f"salt{seed}", None) for seed in range(20)]
    assert not any(Kind.ROLL_BACK in kinds for kinds in ended)
    assert ended.count(ALL_THE_WAY) >= 16


@pytest.mark.parametrize("never", [0.0, 1 / 30, 1 / 5])
def test_a_release_that_fails_on_more_requests_than_the_margin_goes_back_whatever_no_release_can_answer(never):
    ended = [play(world(seed, worse=0.06, never=never), f"salt{seed}", {"new": SAME, "old": SAME}) for seed in range(10)]
    assert all(kinds[-1] is Kind.ROLL_BACK and Kind.PROMOTE not in kinds for kinds in ended)
