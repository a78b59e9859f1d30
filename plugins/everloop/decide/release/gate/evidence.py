"""All that the gate knows of a candidate, and how it is made of scores and labels.

What makes the comparison fair: the candidate's held-out rows were asked for after every label that it learnt from was known
(`learn.split` purges the rest), and of them only those count that were also asked for after the champion's
`trained_through`. So neither model can have learnt from a judged row, nor from anything later.

Rows of one block of time (`GatePolicy.block`) may move together: intervals count blocks, not rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from everloop.decide.policy import CostMatrix, GatePolicy
from everloop.decide.release.gate.behaviour import Behaviour
from everloop.decide.statistics.calibration import calibration_interval
from everloop.decide.statistics.clusters import Codes
from everloop.decide.statistics.compare import auc, auc_difference, costs, mean_difference
from everloop.decide.statistics.estimate import Estimate

if TYPE_CHECKING:
    import numpy.typing as npt

    Labels = npt.NDArray[np.bool_]
    Slices = Mapping[str, npt.NDArray[np.str_]]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What stands of the candidate alone: `rows` held out, in so many `blocks`, AUC and calibration error; the file's size."""

    trained_through: datetime
    rows: int
    blocks: int
    auc: Estimate | None
    ece: Estimate | None
    size_mb: float


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The release that serves."""

    release: str
    trained_through: datetime


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Cost per row, candidate minus champion, of one set of rows, and the champion's own cost there."""

    cost: Estimate | None
    champion_cost: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Candidate minus champion on the same rows, in so many `blocks`: AUC, cost, and cost by slice (`{slice: {value: ...}}`)."""

    rows: int
    blocks: int
    auc: Estimate | None
    overall: Difference
    slices: Mapping[str, Mapping[str, Difference]]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that the gate knows. `problem` says why there is no `comparison` although there is a champion.

    `alone`: of the strongest inputs, the AUC of each by itself on the held-out rows.
    `rows_per_week`: how many rows with a label come a week, where that is known.
    """

    candidate: Candidate
    behaviour: Behaviour | None = None
    champion: Champion | None = None
    comparison: Comparison | None = None
    problem: str = ""
    alone: Mapping[str, Estimate] = field(default_factory=dict)
    rows_per_week: float | None = None


@dataclass(frozen=True)
class Scored:
    """A release's scores of some rows, and its decision threshold."""

    scores: npt.NDArray[np.float64]
    threshold: float

    @property
    def decisions(self) -> Labels:
        """Where it decides "positive"."""
        return self.scores >= self.threshold

    def costs(self, labels: Labels, cost: CostMatrix) -> npt.NDArray[np.float64]:
        """What its decisions cost, by row."""
        return costs(labels, self.decisions, cost)


def compare(
    labels: Labels, blocks: Codes, candidate: Scored, champion: Scored, slices: Slices, cost: CostMatrix, policy: GatePolicy
) -> Comparison:
    """The paired evidence of rows that neither release learnt from; `blocks` (rows,): the block of time that each lies in.

    Slices below `policy.slice_minimum` are left out.
    """
    ours, theirs = candidate.costs(labels, cost), champion.costs(labels, cost)

    def difference(rows: Labels) -> Difference:
        champion_cost = float(theirs[rows].mean()) if rows.any() else None
        cost = _bounded(mean_difference(ours[rows], theirs[rows], policy.confidence, blocks[rows]))
        return Difference(cost=cost, champion_cost=champion_cost)

    return Comparison(
        rows=len(labels),
        blocks=len(np.unique(blocks)),
        auc=_bounded(auc_difference(labels, candidate.scores, champion.scores, policy.confidence, blocks)),
        overall=difference(np.ones(len(labels), dtype=bool)),
        slices={name: _by_value(values, difference, policy.slice_minimum) for name, values in slices.items()},
    )


def _bounded(found: Estimate | None) -> Estimate | None:
    """`None` for an interval without end, which JSON cannot hold: rows of one block tell nothing of another."""
    return found if found and found.freedom else None


def _by_value(values: npt.NDArray[np.str_], difference: Callable[[Labels], Difference], minimum: int) -> dict[str, Difference]:
    names, counts = np.unique(values, return_counts=True)
    return {str(name): difference(values == name) for name in names[counts >= minimum]}


def alone(
    labels: Labels, blocks: Codes, candidate: Scored, size_mb: float, trained_through: datetime, policy: GatePolicy
) -> Candidate:
    """What the held-out rows say of the candidate alone; `blocks` (rows,): the block of time that each lies in."""
    return Candidate(
        trained_through=trained_through,
        rows=len(labels),
        blocks=len(np.unique(blocks)),
        auc=_bounded(auc(labels, candidate.scores, policy.confidence, blocks)),
        ece=calibration_interval(labels, candidate.scores, policy.confidence, units=blocks),
        size_mb=size_mb,
    )
