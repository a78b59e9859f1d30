"""What an experiment's traffic shows: sums by arm and segment, counts for the guardrails, made from arrays of served rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide.experiment.sums import Sums
from everloop.decide.policy import CostMatrix, Metric
from everloop.decide.release.evidence import LATENCY_EDGES, Arm, Assigned
from everloop.decide.statistics.compare import expected_costs
from everloop.flags import incomplete

Rows = Mapping[str, "Sequence[Any] | npt.NDArray[Any]"]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

COLUMNS = (
    "request_id", "entity", "arm", "score", "decision", "shadow_release", "shadow_score", "flags", "error", "latency_ms", "label",
)  # fmt: skip
"""The columns of `ports.TrafficLog` that `observe` reads."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One arm: `sums` of all its rows, `segments` of those with a value of a segment, `answers` for the guardrails."""

    sums: Sums = field(default_factory=Sums)
    segments: Mapping[tuple[str, str], Sums] = field(default_factory=dict)
    answers: Arm = field(default_factory=Arm)

    def __add__(self, other: Side) -> Side:
        values = dict.fromkeys((*self.segments, *other.segments))
        return Side(
            sums=self.sums + other.sums,
            segments={value: self.segments.get(value, Sums()) + other.segments.get(value, Sums()) for value in values},
            answers=self.answers + other.answers,
        )


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Both arms. `crossed`: entities that both answered, which must not be. Batches of other entities may be added."""

    control: Side = field(default_factory=Side)
    treatment: Side = field(default_factory=Side)
    entities: Assigned = field(default_factory=Assigned)
    crossed: int = 0

    def __add__(self, other: Observed) -> Observed:
        return Observed(
            control=self.control + other.control,
            treatment=self.treatment + other.treatment,
            entities=Assigned(
                candidate=self.entities.candidate + other.entities.candidate,
                baseline=self.entities.baseline + other.entities.baseline,
            ),
            crossed=self.crossed + other.crossed,
        )


def observe(
    rows: Rows,
    metric: Metric,
    *,
    cuped: bool,
    cost: CostMatrix,
    threshold: float,
    segments: Mapping[str, npt.NDArray[Any]] | None = None,
) -> Observed:
    """What `rows` show, each entity with all of its rows (`COLUMNS`, nulls as NaN or None).

    Rows count for the arm that their entity was assigned to, also where that release failed and the control answered in its
    place: the answer that was given is what the assignment led to (intention to treat). `threshold`: the control's.
    `segments`: by name, the value of each row, shape (n,).
    """
    treated = np.asarray(rows["arm"]) == "challenger"
    _, entity = np.unique(np.asarray(rows["entity"]), return_inverse=True)
    worth = metric_of(rows, metric, cost, threshold)
    expected = covariate_of(rows, metric, cost, threshold) if cuped else np.full(len(worth), np.nan)
    values = np.column_stack([np.isfinite(worth), worth, expected, np.isfinite(worth) & np.isfinite(expected)])
    values[~values[:, 0].astype(bool), 1:] = 0.0
    values[~values[:, 3].astype(bool), 2] = 0.0
    sides = [_side(rows, entity, values, arm, segments or {}) for arm in (~treated, treated)]
    met = [set(entity[arm]) for arm in (~treated, treated)]
    return Observed(
        control=sides[0],
        treatment=sides[1],
        entities=Assigned(candidate=len(met[1]), baseline=len(met[0])),
        crossed=len(met[0] & met[1]),
    )


def metric_of(rows: Rows, metric: Metric, cost: CostMatrix, threshold: float) -> Floats:
    """The metric of each row, NaN where it has none (yet). Latency counts once for each request and arm."""
    if metric is Metric.LATENCY_MS:
        return _latency(rows)
    decisions = _decisions(rows, threshold)
    if metric is Metric.SELECTION_RATE:
        return decisions
    return _loss(decisions, _floats(rows["label"]), metric, cost)


def covariate_of(rows: Rows, metric: Metric, cost: CostMatrix, threshold: float) -> Floats:
    """What the control's own calibrated score expects of the metric under the control's decision; NaN where it gave none.

    In the treatment's arm the control scores the shadow sample alone, so in the control's arm no other rows count either: the
    sample is drawn by key, whatever the arm, and no release of the treatment touches it.
    """
    treated = np.asarray(rows["arm"]) == "challenger"
    sampled = np.array([release is not None for release in rows["shadow_release"]], dtype=bool)
    score = np.where(sampled, np.where(treated, _floats(rows["shadow_score"]), _floats(rows["score"])), np.nan)
    decisions = np.where(np.isnan(score), np.nan, score >= threshold)
    return decisions if metric is Metric.SELECTION_RATE else _loss(decisions, score, metric, cost)


def _decisions(rows: Rows, threshold: float) -> Floats:
    """What was decided for the user: where the treatment failed, what the control decided in its place."""
    failed, beside = _failed(rows), _floats(rows["shadow_score"])
    instead = np.where(np.isnan(beside), np.nan, beside >= threshold)
    treated = np.asarray(rows["arm"]) == "challenger"
    return np.where(failed, np.where(treated, instead, np.nan), _floats(rows["decision"]))


def _loss(decisions: Floats, positive: Floats, metric: Metric, cost: CostMatrix) -> Floats:
    """What each decision costs (or its error) where a positive is there with chance `positive`: 0 or 1 once it is known."""
    prices = cost if metric is Metric.COST else CostMatrix(false_positive=1.0, false_negative=1.0)
    return np.where(np.isnan(decisions), np.nan, expected_costs(positive, decisions > 0.5, prices))


def _latency(rows: Rows) -> Floats:
    _, request = np.unique(np.asarray(rows["request_id"]), return_inverse=True)
    _, first = np.unique(2 * request + (np.asarray(rows["arm"]) == "challenger"), return_index=True)
    found = np.full(len(request), np.nan)
    found[first] = _floats(rows["latency_ms"])[first]
    return found


def _side(rows: Rows, entity: npt.NDArray[np.intp], values: Floats, arm: Mask, segments: Mapping[str, npt.NDArray[Any]]) -> Side:
    found = {}
    for name, of_rows in segments.items():
        for value in np.unique(of_rows[arm]):
            found[name, str(value)] = _sums(entity, values, arm & (of_rows == value))
    latency = _latency(rows)[arm]
    counts = np.bincount(
        np.searchsorted(LATENCY_EDGES, latency[np.isfinite(latency)], side="left"), minlength=len(LATENCY_EDGES) + 1
    )
    lacking = np.array([incomplete(flags) for flags in rows["flags"]], dtype=bool)
    answers = Arm(
        requests=int(arm.sum()),
        errors=int((_failed(rows) & arm).sum()),
        incomplete=int((lacking & arm).sum()),
        latency=tuple(counts.tolist()),
    )
    return Side(sums=_sums(entity, values, arm), segments=found, answers=answers)


def _sums(entity: npt.NDArray[np.intp], values: Floats, mask: Mask) -> Sums:
    _, place = np.unique(entity[mask], return_inverse=True)
    columns = [np.bincount(place, weights=values[mask, column]) for column in range(values.shape[1])]
    return Sums.of(np.column_stack(columns))


def _failed(rows: Rows) -> Mask:
    return np.array([error is not None for error in rows["error"]], dtype=bool)


def _floats(values: Sequence[Any] | npt.NDArray[Any]) -> Floats:
    """As floats, null as NaN."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return values.astype(np.float64)
    return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
