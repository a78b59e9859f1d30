"""Many rollouts of one side, this checkout's code or an earlier one's: numbers and text in and out, for a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.aa.flown import Flown
from benchmarks.aa.rollouts import Setup, ended
from benchmarks.aa.setups import setups

WORKERS = 2


def played(flown: str, tasks: Sequence[tuple[str, str, int]], workers: int = WORKERS) -> list[dict[str, Any]]:
    """How each of `tasks` ended, a world, a policy and a salt; `flown` is the file of the flights."""
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(_played, *zip(*((flown, *task) for task in tasks), strict=True), chunksize=10))


def _played(flown: str, world: str, policy: str, salt: int) -> dict[str, Any]:
    told = asdict(ended(_flown(flown), world, salt, _setups()[policy]))
    return {"world": world, "policy": policy, **told}


@cache
def _flown(path: str) -> Flown:
    return Flown.read(Path(path))


@cache
def _setups() -> dict[str, Setup]:
    return setups()
