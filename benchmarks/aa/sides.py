"""Many rollouts and experiments of one side, in a process of its own: this checkout's code or an earlier one's."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.aa.experiments import concluded
from benchmarks.aa.flown import Flown
from benchmarks.aa.rollouts import Setup, ended
from benchmarks.aa.setups import setups

WORKERS, EXPERIMENT = 2, "experiment"
"""What stands in place of a policy for an experiment, whose guardrails are those of the default one."""


def played(flown: str, cases: Sequence[tuple[str, str, int]], workers: int = WORKERS) -> list[dict[str, Any]]:
    """How all salts of each case ended, a world, a policy (or `EXPERIMENT`) and how many; `flown` is the file of the flights."""
    tasks = [(flown, world, policy, salt) for world, policy, salts in cases for salt in range(salts)]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(_played, *zip(*tasks, strict=True), chunksize=10))


def _played(flown: str, world: str, policy: str, salt: int) -> dict[str, Any]:
    if policy == EXPERIMENT:
        default = _setups()["default"]
        return {"world": world, "policy": policy, **asdict(concluded(_flown(flown), world, salt, default.cost, default.policy))}
    return {"world": world, "policy": policy, **asdict(ended(_flown(flown), world, salt, _setups()[policy]))}


@cache
def _flown(path: str) -> Flown:
    return Flown.read(Path(path))


@cache
def _setups() -> dict[str, Setup]:
    return setups()
