"""Two models on the same labelled rows: areas under the curve, costs, and paired differences with intervals.

Rows are independent of each other, unless their `units` are given (`decide.statistics.clusters`): codes (rows,) of what is
independent, such as days. Then intervals hold for rows that move together within a unit, and have no end where there is one unit
alone; `known` is the likeness that other units have shown, for when there are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.decide.policy import CostMatrix
from everloop.decide.statistics.clusters import NOTHING_KNOWN, Codes, Likeness, clustered
from everloop.decide.statistics.estimate import Estimate

if TYPE_CHECKING:
    import numpy.typing as npt

    Labels = npt.NDArray[np.bool_]
    Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Placements:
    """DeLong's structural components: of each positive, the share of negatives below it; of each negative, of positives above."""

    positives: Scores
    negatives: Scores

    @property
    def auc(self) -> float:
        """The area under the ROC curve: the chance that a positive scores above a negative, ties counting half."""
        return float(self.positives.mean())

    def __sub__(self, other: Placements) -> Placements:
        return Placements(self.positives - other.positives, self.negatives - other.negatives)

    def estimate(self, confidence: float) -> Estimate:
        """The mean with DeLong's normal interval, which needs two positives and two negatives."""
        variance = self.positives.var(ddof=1) / self.positives.size + self.negatives.var(ddof=1) / self.negatives.size
        return Estimate.around(self.auc, float(variance), self.positives.size + self.negatives.size, confidence)

    def influence(self, labels: Labels) -> Scores:
        """What each of the rows (rows,) that these are of adds to the error of the area."""
        found = np.empty(len(labels))
        found[labels] = (self.positives - self.positives.mean()) / self.positives.size
        found[~labels] = (self.negatives - self.negatives.mean()) / self.negatives.size
        return found


def placements(labels: Labels, scores: Scores) -> Placements | None:
    """The components of `scores` (rows,), `None` with fewer than two positives or two negatives.

    DeLong, DeLong & Clarke-Pearson (1988), Comparing the areas under two or more correlated ROC curves, eq. 4 and 5, by sorting
    as Sun & Xu (2014) do.
    """
    positive, negative = np.sort(scores[labels]), np.sort(scores[~labels])
    if min(positive.size, negative.size) < 2:
        return None
    return Placements(_share_below(scores[labels], negative), 1 - _share_below(scores[~labels], positive))


def _share_below(values: Scores, ordered: Scores) -> Scores:
    """Of each value, the share of `ordered` that lies below it, ties counting half."""
    below, through = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    share: Scores = (below + through) / (2 * ordered.size)
    return share


def auc(
    labels: Labels,
    scores: Scores,
    confidence: float = 0.95,
    units: Codes | None = None,
    known: Likeness = NOTHING_KNOWN,
) -> Estimate | None:
    """The area under the ROC curve with DeLong's interval, by units Obuchowski's; `None` with fewer than two of either label."""
    return _area(labels, placements(labels, scores), confidence, units, known)


def auc_difference(
    labels: Labels, first: Scores, second: Scores, confidence: float = 0.95, units: Codes | None = None
) -> Estimate | None:
    """AUC of `first` minus that of `second` on the same rows, with DeLong's interval of the correlated difference (eq. 6)."""
    a, b = placements(labels, first), placements(labels, second)
    return _area(labels, a - b if a and b else None, confidence, units, NOTHING_KNOWN)


def _area(labels: Labels, found: Placements | None, confidence: float, units: Codes | None, known: Likeness) -> Estimate | None:
    if found is None or units is None:
        return found.estimate(confidence) if found else None
    return clustered(found.auc, found.influence(labels), units, confidence, known)


def costs(labels: Labels, decisions: Labels, cost: CostMatrix) -> Scores:
    """What each row's decision cost, in the unit of `cost`."""
    return np.where(labels & ~decisions, cost.false_negative, 0.0) + np.where(~labels & decisions, cost.false_positive, 0.0)


def expected_costs(chances: Scores, decisions: Labels, cost: CostMatrix) -> Scores:
    """What each row's decision can be expected to cost where its label is positive with these chances."""
    return np.where(decisions, (1 - chances) * cost.false_positive, chances * cost.false_negative)


def mean_difference(
    first: Scores,
    second: Scores,
    confidence: float = 0.95,
    units: Codes | None = None,
    known: Likeness = NOTHING_KNOWN,
) -> Estimate | None:
    """Mean of `first - second` over the same rows with its interval; `None` below two rows.

    Pairing removes what both share; what one model makes of a stormy day and the other does not is left, and moves a day's rows.
    """
    if first.size < 2:
        return None
    differences = first - second
    mean = float(differences.mean())
    if units is None:
        return Estimate.around(mean, float(differences.var(ddof=1)) / differences.size, differences.size, confidence)
    return clustered(mean, (differences - mean) / differences.size, units, confidence, known)
