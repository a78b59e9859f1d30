"""What each served row is worth in an experiment, and what could be expected of it beforehand."""

from __future__ import annotations

import numpy as np

from everloop.decide.policy import CostMatrix, Metric
from everloop.decide.release.evidence.columns import Floats, Rows, failed, floats
from everloop.decide.statistics.compare import expected_costs

COLUMNS = (
    "request_id", "entity", "arm", "score", "decision", "shadow_release", "shadow_score", "flags", "error", "latency_ms", "label",
)  # fmt: skip
"""The columns of `ports.TrafficLog` that an experiment reads."""

ERRORS = CostMatrix(false_positive=1.0, false_negative=1.0)
"""At these prices a decision costs 1 where it is wrong."""


def metric_of(rows: Rows, metric: Metric, cost: CostMatrix, threshold: float) -> Floats:
    """The metric of each row, NaN where it has none (yet). Latency counts once for each request and arm."""
    if metric is Metric.LATENCY_MS:
        return latency_of(rows)
    decisions = _decisions(rows, threshold)
    if metric is Metric.SELECTION_RATE:
        return decisions
    return _loss(decisions, floats(rows["label"]), metric, cost)


def covariate_of(rows: Rows, metric: Metric, cost: CostMatrix, threshold: float) -> Floats:
    """What the control's own calibrated score expects of the metric under the control's decision; NaN where it gave none.

    In the treatment's arm the control scores the shadow sample alone, so in the control's arm no other rows count either: the
    sample is drawn by key, whatever the arm, and no release of the treatment touches it.
    """
    treated = np.asarray(rows["arm"]) == "challenger"
    sampled = np.array([release is not None for release in rows["shadow_release"]])
    score = np.where(sampled, np.where(treated, floats(rows["shadow_score"]), floats(rows["score"])), np.nan)
    decisions = np.where(np.isnan(score), np.nan, score >= threshold)
    return decisions if metric is Metric.SELECTION_RATE else _loss(decisions, score, metric, cost)


def _decisions(rows: Rows, threshold: float) -> Floats:
    """What was decided for the user: where the treatment failed, what the control decided in its place."""
    beside = floats(rows["shadow_score"])
    instead = np.where(np.isnan(beside), np.nan, beside >= threshold)
    treated = np.asarray(rows["arm"]) == "challenger"
    return np.where(failed(rows), np.where(treated, instead, np.nan), floats(rows["decision"]))


def _loss(decisions: Floats, positive: Floats, metric: Metric, cost: CostMatrix) -> Floats:
    """What each decision costs (or its error) where a positive is there with chance `positive`: 0 or 1 once it is known."""
    prices = cost if metric is Metric.COST else ERRORS
    return np.where(np.isnan(decisions), np.nan, expected_costs(positive, decisions == 1, prices))


def latency_of(rows: Rows) -> Floats:
    """The latency (ms) of each request and arm, at the first of its rows; NaN at the others."""
    _, request = np.unique(np.asarray(rows["request_id"]), return_inverse=True)
    _, first = np.unique(2 * request + (np.asarray(rows["arm"]) == "challenger"), return_index=True)
    found = np.full(len(request), np.nan)
    found[first] = floats(rows["latency_ms"])[first]
    return found
