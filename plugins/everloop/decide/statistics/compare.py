"""Two models on the same labelled rows: areas under the curve, costs, and paired differences with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from everloop.decide.policy import CostMatrix

if TYPE_CHECKING:
    import numpy.typing as npt

    Labels = npt.NDArray[np.bool_]
    Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number measured on `rows` rows, with its two-sided interval."""

    value: float
    low: float
    high: float
    rows: int

    @classmethod
    def normal(cls, value: float, variance: float, rows: int, confidence: float) -> Estimate:
        """The normal interval of an estimator with this variance."""
        half = float(ndtri((1 + confidence) / 2)) * math.sqrt(variance)
        return cls(value=value, low=value - half, high=value + half, rows=rows)

    def at(self, confidence: float, *, made_at: float) -> Estimate:
        """The same normal estimate with the interval of another confidence than the one that it was `made_at`."""
        wider = float(ndtri((1 + confidence) / 2) / ndtri((1 + made_at) / 2))
        low, high = self.value - wider * (self.value - self.low), self.value + wider * (self.high - self.value)
        return Estimate(value=self.value, low=low, high=high, rows=self.rows)

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


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
        return Estimate.normal(self.auc, float(variance), self.positives.size + self.negatives.size, confidence)


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


def auc(labels: Labels, scores: Scores, confidence: float = 0.95) -> Estimate | None:
    """The area under the ROC curve with DeLong's interval; `None` with fewer than two positives or two negatives."""
    found = placements(labels, scores)
    return found.estimate(confidence) if found else None


def auc_difference(labels: Labels, first: Scores, second: Scores, confidence: float = 0.95) -> Estimate | None:
    """AUC of `first` minus that of `second` on the same rows, with DeLong's interval of the correlated difference (eq. 6)."""
    a, b = placements(labels, first), placements(labels, second)
    return (a - b).estimate(confidence) if a and b else None


def costs(labels: Labels, decisions: Labels, cost: CostMatrix) -> Scores:
    """What each row's decision cost, in the unit of `cost`."""
    return np.where(labels & ~decisions, cost.false_negative, 0.0) + np.where(~labels & decisions, cost.false_positive, 0.0)


def expected_costs(chances: Scores, decisions: Labels, cost: CostMatrix) -> Scores:
    """What each row's decision can be expected to cost where its label is positive with these chances."""
    return np.where(decisions, (1 - chances) * cost.false_positive, chances * cost.false_negative)


def mean_difference(first: Scores, second: Scores, confidence: float = 0.95) -> Estimate | None:
    """Mean of `first - second` over the same rows with its normal interval; `None` below two rows.

    Pairing removes what both share, such as a stormy day; what is left is taken as independent from row to row.
    """
    if first.size < 2:
        return None
    differences = first - second
    variance = float(differences.var(ddof=1)) / differences.size
    return Estimate.normal(float(differences.mean()), variance, differences.size, confidence)
