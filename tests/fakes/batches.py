"""Batches of served rows, as a rollout's traffic would be, with as much harm of the release on trial as one likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from everloop.decide.policy import CostMatrix
from everloop.decide.release.evidence import Evidence, LoadCheck, from_traffic, trial
from everloop.decide.release.state import ReleaseState, Stage

Row = Mapping[str, Any]
COST = CostMatrix(false_positive=1.0, false_negative=3.0)
LOADS = LoadCheck.of([0.2, 0.8], 1.0)
APART = timedelta(milliseconds=20)
DAYS, DAY = 20, timedelta(days=1)
"""Requests are for so many days of data time, a true and a false case of each in turn, so that days are alike."""


def batch(
    state: ReleaseState, at: datetime, count: int, *, first: int = 0, failing: int = 0, missing: int = 0, slow_ms: float = 1.5
) -> list[Row]:
    """`count` requests in the stage of `state` that both arms score alike but for the harm of the release on trial.

    `failing`: its first so many answers are errors. `missing`: of its first so many answers to true cases the score says no.
    `slow_ms`: its latency. `first`: the number of the first request, so that batches do not repeat each other's.
    """
    candidate, baseline = trial(state)
    share = 1.0 if state.stage is Stage.WATCH else state.weight
    rows, harmed = [], 0
    for i in range(first, first + count):
        # The share of the first n requests is exact for every n: no chance in it, hence no sample-ratio mismatch.
        ours, truth = int((i + 1) * share) > int(i * share), i % 2 == 0
        wrong, right = truth and harmed < missing, 0.8 if truth else 0.2
        harmed += wrong
        theirs = {"score": right, "release": baseline, "shadow_release": candidate, "shadow_score": 0.2 if wrong else right}
        mine = {"score": 0.2 if wrong else right, "release": candidate, "shadow_release": baseline, "shadow_score": right}
        row = {
            "request_id": f"q{i}", "key": f"q{i}", "entity": f"user{i}", "at": at + i * APART,
            "arm": "challenger" if ours and state.stage is not Stage.WATCH else "champion", "flags": [], "error": None,
            "latency_ms": slow_ms if ours else 1.5, "label": float(truth), "as_of": at + (i // 2 % DAYS) * DAY,
            **(mine if ours else theirs),
        }  # fmt: skip
        if ours and failing > 0:
            row, failing = {**row, "error": "cannot score"}, failing - 1
        rows.append(row)
    return rows


def evidence(rows: Sequence[Row], state: ReleaseState, *, check: LoadCheck | None = LOADS) -> Evidence:
    """What `state` is judged by after these rows of its rollout."""
    names = rows[0] if rows else dict.fromkeys(("at", "arm", "release"))
    columns = {name: np.array([row[name] for row in rows] + [None], dtype=object)[:-1] for name in names}
    thresholds = {release: 0.5 for release in trial(state) if release}
    return from_traffic(columns, state, cost=COST, thresholds=thresholds, check=check)
