"""A/A: how often a release as good as the champion is rolled back, looked at after every batch, and by a t-test as often."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
from scipy.special import ndtr

from benchmarks.record import RESULTS, Record
from benchmarks.streams import Seen, World, play
from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.evidence import Evidence
from everloop.decide.release.rollout import Kind
from everloop.decide.statistics.intervals import wilson

ROLLOUTS, SEED, WORKERS, LEVEL = 2_000, 2013, 2, 0.05
EASY = RolloutPolicy(minimum_time=timedelta(minutes=2), watch_time=timedelta(days=1), watch_labels=10**9)
"""The shipped rollout, a minute standing for what passes between two batches; it watches until the traffic ends."""
EDGE = replace(EASY, cost_margin=0.0, error_rate_margin=0.0, missing_margin=0.0, latency_factor=1.0, latency_floor_ms=0.0)
"""No margin: an equal release stands on the very edge of what fails, where the promise is hardest to keep."""


def main() -> None:
    """2,000 rollouts of 50,000 requests on the very edge, a quarter as many with margins."""
    run(ROLLOUTS, RESULTS)


def run(rollouts: int, results: Path) -> None:
    """Play them, hold the shares of rollbacks against what is promised, and write the result to `results`."""
    record = Record("false_rollbacks", packages=("numpy", "scipy"))
    record.fact("requests a rollout", World().requests * World().minutes)
    record.fact("looks a rollout", World().minutes)
    for name, policy, count in (("no margins", EDGE, rollouts), ("shipped margins", EASY, max(1, rollouts // 4))):
        found = _played(policy, count)
        rolled_back = sum(one.ended is Kind.ROLL_BACK for one in found)
        record.fact(f"rollouts, {name}", count)
        _tell(record, f"everloop, {name}", rolled_back, count)
        record.ratio(f"false rollbacks / promised, {name}", rolled_back / count / policy.alpha, 1.0, "lower")
        record.fact(f"why, {name}", sorted({one.because.partition(":")[0] for one in found if one.because}))
        if policy is EDGE:
            for what, alarms in _peeked(found).items():
                _tell(record, what, sum(alarms), count)
    record.finish(results)


def _tell(record: Record, side: str, alarms: int, rollouts: int) -> None:
    low, high = wilson(alarms, rollouts)
    record.sample(side, share=alarms / rollouts, low=low, high=high)


def _played(policy: RolloutPolicy, rollouts: int) -> list[Seen]:
    with ProcessPoolExecutor(WORKERS) as pool:
        return list(pool.map(partial(_one, policy), range(rollouts), chunksize=25))


def _one(policy: RolloutPolicy, number: int) -> Seen:
    return _light(play(World(), policy, np.random.default_rng([SEED, number]), keep=policy is not EASY))


def _light(seen: Seen) -> Seen:
    """With the fixed tests' answers in place of the evidence, which is heavy to send."""
    return replace(seen, looks=[_rejections(look) for look in seen.looks])


def _rejections(look: Evidence) -> tuple[bool, bool]:
    """Whether one look alone would find harm at 5 %: in cost by a paired t-test, in errors by a test of two proportions."""
    values, counts = look.costs.excess(1.0)
    n = counts.sum()
    cost = False
    if n > 30:
        mean = values @ counts / n
        spread = np.sqrt(((values - mean) ** 2 @ counts) / (n - 1))
        cost = bool(spread > 0 and ndtr(-mean / (spread / np.sqrt(n))) < LEVEL)
    ours, theirs = look.candidate, look.baseline
    if min(ours.requests, theirs.requests) < 30 or not ours.errors:
        return cost, False
    pooled = (ours.errors + theirs.errors) / (ours.requests + theirs.requests)
    apart = ours.errors / ours.requests - theirs.errors / theirs.requests
    spread = np.sqrt(pooled * (1 - pooled) * (1 / ours.requests + 1 / theirs.requests))
    return cost, bool(ndtr(-apart / spread) < LEVEL)


def _peeked(found: Sequence[Seen]) -> dict[str, list[bool]]:
    looks = [one.looks for one in found]
    return {
        "t-test of cost, looked at once at the end": [bool(one) and one[-1][0] for one in looks],
        "t-test of cost, peeked at as often": [any(cost for cost, _ in one) for one in looks],
        "tests of cost and errors, peeked at as often": [any(cost or errors for cost, errors in one) for one in looks],
    }


if __name__ == "__main__":
    main()
