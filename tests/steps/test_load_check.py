"""What the real scorer is asked before any traffic, and how often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from everloop.steps import rollout
from everloop.use_case import UseCase
from fakes.scorer import InMemoryScorer
from steps.test_rollout import World
from steps.test_rollout import world as world


class StallingScorer(InMemoryScorer):
    """Takes each of these times (ms) in turn."""

    def __init__(self, *milliseconds: float | None) -> None:
        super().__init__()
        self._milliseconds = list(milliseconds)

    def check(self, use_case: str, release: str, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        answer = super().check(use_case, release, rows)
        return {**answer, "latency_ms": self._milliseconds.pop(0)}


@pytest.mark.parametrize(
    ("taken", "kept", "asked"),
    [
        ((3.0,), 3.0, 1),
        ((900.0, 4.0), 4.0, 2),
        ((900.0, 800.0, 850.0), 800.0, 3),
        ((None,), None, 1),
        ((900.0, None, 850.0), 850.0, 3),
    ],
)
def test_a_scorer_that_stalls_is_asked_again_and_its_shortest_time_counts(
    world: World, ids: dict[str, str], taken: tuple[float | None, ...], kept: float | None, asked: int
) -> None:
    scorer = StallingScorer(*taken)
    found = rollout.load_check(world.registry, scorer, world.lake, world.use_case, ids["new"])
    assert (found.latency_ms, found.rows, len(scorer.checked)) == (kept, rollout.CHECK_ROWS, asked)


def test_use_case_budget_decides_what_is_slow(world: World, ids: dict[str, str], toys: UseCase) -> None:
    budget = toys.rollout.check_latency_ms
    scorer = StallingScorer(budget, budget)
    rollout.load_check(world.registry, scorer, world.lake, toys, ids["new"])
    assert len(scorer.checked) == 1
