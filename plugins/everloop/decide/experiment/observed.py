"""What an experiment's traffic shows: sums by arm and segment, counts for the guardrails, made from arrays of served rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide.experiment.measures import covariate_of, metric_of
from everloop.decide.experiment.sums import COVARIATE, Sums
from everloop.decide.policy import CostMatrix, Covariate, Metric
from everloop.decide.release.evidence import Arm, Assigned, OwnViews
from everloop.decide.release.evidence.columns import Codes, Floats, Mask, Rows
from everloop.decide.release.evidence.served import Served
from everloop.decide.release.evidence.views import NOT_KNOWN


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
    """Both arms. `crossed`: entities that both answered, which must not be. Batches of other entities may be added.

    `same_views`: whether both releases are known to read the same feature views.
    """

    control: Side = field(default_factory=Side)
    treatment: Side = field(default_factory=Side)
    entities: Assigned = field(default_factory=Assigned)
    crossed: int = 0
    same_views: bool = False

    def __add__(self, other: Observed) -> Observed:
        return Observed(
            control=self.control + other.control,
            treatment=self.treatment + other.treatment,
            entities=Assigned(
                candidate=self.entities.candidate + other.entities.candidate,
                baseline=self.entities.baseline + other.entities.baseline,
            ),
            crossed=self.crossed + other.crossed,
            same_views=self.same_views and other.same_views,
        )


def observe(
    rows: Rows,
    metric: Metric,
    *,
    cost: CostMatrix,
    threshold: float,
    covariate: Covariate = Covariate.NONE,
    before: Rows | None = None,
    segments: Mapping[str, npt.NDArray[Any]] | None = None,
    own_views: OwnViews = NOT_KNOWN,
) -> Observed:
    """What `rows` show, each entity with all of its rows (`COLUMNS`, nulls as NaN or None).

    Rows count for the arm that their entity was assigned to, also where that release failed and the control answered in its
    place: the answer that was given is what the assignment led to (intention to treat). `threshold`: the control's.
    `before`: earlier rows, of which those of the same entities are the covariate, if it is `BEFORE`; an entity without any takes
    part all the same. `segments`: by name, the value of each row, shape (n,). `own_views`: the views that only one of both reads.
    """
    treated = np.asarray(rows["arm"]) == "challenger"
    past = before if covariate is Covariate.BEFORE else None
    names = [np.asarray(one["entity"]) for one in (rows, past) if one is not None]
    _, code = np.unique(np.concatenate(names), return_inverse=True)
    entity = code[: len(treated)]
    worth, expected = metric_of(rows, metric, cost, threshold), np.full(len(treated), np.nan)
    if covariate is Covariate.CONTROL:
        expected = covariate_of(rows, metric, cost, threshold)
    values = _summed(worth, np.where(np.isfinite(worth), expected, np.nan))
    earlier = None
    if past is not None:
        shown = _summed(np.full(len(code) - len(entity), np.nan), metric_of(past, metric, cost, threshold))
        earlier = _by_entity(code[len(entity) :], shown, len(code))
    served = Served.of(rows, treated)
    slow = served.slow(np.ones(len(treated), dtype=bool))
    sides = [
        Side(
            sums=_sums(entity, values, earlier, arm),
            segments=_segments(entity, values, earlier, arm, segments or {}),
            answers=served.arm(arm, views, slow),
        )
        for arm, views in ((~treated, own_views.baseline), (treated, own_views.candidate))
    ]
    met = [set(entity[arm]) for arm in (~treated, treated)]
    return Observed(
        control=sides[0],
        treatment=sides[1],
        entities=Assigned(candidate=len(met[1]), baseline=len(met[0])),
        crossed=len(met[0] & met[1]),
        same_views=own_views.none,
    )


def _summed(worth: Floats, expected: Floats) -> Floats:
    """Of each row what `sums` sums: whether it has a metric and which, the covariate and whether it has one; shape (n, 4)."""
    known, covered = np.isfinite(worth), np.isfinite(expected)
    return np.column_stack([known, np.where(known, worth, 0.0), np.where(covered, expected, 0.0), covered])


def _segments(
    entity: Codes, values: Floats, earlier: Floats | None, arm: Mask, segments: Mapping[str, npt.NDArray[Any]]
) -> dict[tuple[str, str], Sums]:
    """The sums of each value of each segment."""
    return {
        (name, str(value)): _sums(entity, values, earlier, arm & (of_rows == value))
        for name, of_rows in segments.items()
        for value in np.unique(of_rows[arm])
    }


def _sums(entity: Codes, values: Floats, earlier: Floats | None, mask: Mask) -> Sums:
    """The sums of the entities of some rows, what they showed earlier among them."""
    codes, place = np.unique(entity[mask], return_inverse=True)
    totals = _by_entity(place, values[mask], len(codes))
    return Sums.of(totals if earlier is None else np.column_stack([totals[:, :COVARIATE], earlier[codes, COVARIATE:]]))


def _by_entity(place: Codes, values: Floats, count: int) -> Floats:
    return np.column_stack([np.bincount(place, weights=column, minlength=count) for column in values.T])
