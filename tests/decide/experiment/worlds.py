"""Small experiments: plans, rows of the log, and sums, for the tests of what is decided about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide.experiment.observed import Observed, Side
from everloop.decide.experiment.sums import Sums
from everloop.decide.policy import CostMatrix, ExperimentPlan, Metric
from everloop.decide.release.evidence import LATENCY_EDGES, Arm, Assigned

Floats = npt.NDArray[np.float64]
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
COST = CostMatrix(false_positive=1.0, false_negative=3.0)
THRESHOLD = 0.25


def plan(**changes: Any) -> ExperimentPlan:
    values = {
        "name": "lower", "control": "aaaa", "treatment": "bbbb", "metric": Metric.COST, "effect": 0.1, "rows": 4_000,
        "minimum_entities": 50,
    }  # fmt: skip
    return ExperimentPlan(**(values | changes))


def arm_of(values: Floats) -> Sums:
    """Entities of one row each, with neither of them a covariate."""
    rows = np.ones(len(values))
    return Sums.of(np.column_stack([rows, values, 0 * rows, 0 * rows]))


def answers(requests: int, errors: int = 0, latency_ms: float = 5.0) -> Arm:
    counts = [0] * (len(LATENCY_EDGES) + 1)
    counts[int(np.searchsorted(LATENCY_EDGES, latency_ms))] = requests
    return Arm(requests=requests, errors=errors, latency=tuple(counts))


def observed(control: Floats, treatment: Floats, *, errors: int = 0, latency_ms: float = 5.0, crossed: int = 0) -> Observed:
    """Two arms of entities with one row each."""
    return Observed(
        control=Side(sums=arm_of(control), answers=answers(len(control))),
        treatment=Side(sums=arm_of(treatment), answers=answers(len(treatment), errors, latency_ms)),
        entities=Assigned(candidate=len(treatment), baseline=len(control)),
        crossed=crossed,
    )


def costs(count: int, rate: float, seed: int) -> Floats:
    """The cost of `count` rows of which the share `rate` is wrong at a price of 3."""
    return 3.0 * (np.random.default_rng(seed).random(count) < rate)


def rows(**changes: Any) -> dict[str, Any]:
    """Two control rows of one entity, two treatment rows of another; the second of each pair is in the shadow sample."""
    return {
        "request_id": ["q1", "q2", "q3", "q4"],
        "entity": ["ann", "ann", "bob", "bob"],
        "arm": ["champion", "champion", "challenger", "challenger"],
        "score": [0.1, 0.6, 0.4, 0.2],
        "decision": [False, True, True, False],
        "shadow_release": [None, "bbbb", None, "aaaa"],
        "shadow_score": [None, 0.7, None, 0.5],
        "flags": [(), ("stale:weather",), (), ()],
        "error": [None, None, None, None],
        "latency_ms": [2.0, 3.0, 4.0, 5.0],
        "label": [True, False, None, True],
    } | changes
