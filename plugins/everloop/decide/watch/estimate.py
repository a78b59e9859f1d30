"""How well a model does before any label is known: the confusion matrix that its calibrated scores expect (CBPE)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from everloop.decide.policy import CostMatrix
from everloop.decide.statistics.compare import Estimate

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Performance expected of `rows` scored rows. `auc`, `precision`, `recall` are `None` where they are undefined."""

    rows: int
    true_positives: float
    false_positives: float
    false_negatives: float
    true_negatives: float
    auc: Estimate | None
    precision: float | None
    recall: float | None
    cost: Estimate


def expect(scores: Scores, threshold: float, cost: CostMatrix, confidence: float = 0.95) -> Expected | None:
    """Performance expected of calibrated `scores` (rows,) when nobody knows the labels; `None` without rows.

    Confidence-based performance estimation (Kivimäki, Białek, Kuberski & Nurminen 2025, Performance estimation in binary
    classification using calibrated confidence, arXiv 2505.05295): a row of score p is positive with probability p. Holds while
    the scores stay calibrated, so under covariate shift within what was learnt; a changed relation of features and label
    (concept drift) does not show. Precision and recall are ratios of expectations. The intervals are the spread that labels drawn
    from the scores would have (the cost's is a Poisson-binomial sum), not that of the calibrator.
    """
    if not len(scores):
        return None
    alarm = scores >= threshold
    hits, misses = float(scores[alarm].sum()), float(scores[~alarm].sum())
    false_alarms, rest = float((1 - scores[alarm]).sum()), float((1 - scores[~alarm]).sum())
    weight = np.where(alarm, cost.false_positive, cost.false_negative)
    variance = float(np.sum(weight**2 * scores * (1 - scores))) / len(scores) ** 2
    average = (false_alarms * cost.false_positive + misses * cost.false_negative) / len(scores)
    return Expected(
        rows=len(scores),
        true_positives=hits,
        false_positives=false_alarms,
        false_negatives=misses,
        true_negatives=rest,
        auc=_auc(scores, confidence),
        precision=hits / int(alarm.sum()) if alarm.any() else None,
        recall=hits / (hits + misses) if hits + misses else None,
        cost=Estimate.normal(average, variance, len(scores), confidence),
    )


def _auc(scores: Scores, confidence: float) -> Estimate | None:
    """`expected_auc` with the interval of Hanley & McNeil (1982), The meaning and use of the area under a ROC curve, eq. 1, for
    the expected numbers of positives and negatives.
    """
    area = expected_auc(scores)
    positives, negatives = float(scores.sum()), float((1 - scores).sum())
    if area is None or min(positives, negatives) < 1:
        return None
    above, below = area / (2 - area) - area**2, 2 * area**2 / (1 + area) - area**2
    variance = (area * (1 - area) + (positives - 1) * above + (negatives - 1) * below) / (positives * negatives)
    return Estimate.normal(area, variance, len(scores), confidence)


def expected_auc(scores: Scores) -> float | None:
    """The expected share of correctly ordered pairs of different rows, ties counting half; `None` without any such pair.

    The sum over pairs i != j of p_i (1 - p_j) ([s_i > s_j] + [s_i = s_j] / 2), over the sum of p_i (1 - p_j).
    """
    values, group = np.unique(scores, return_inverse=True)
    positive, negative = np.bincount(group, weights=scores), np.bincount(group, weights=1 - scores)
    itself = float(np.sum(scores * (1 - scores)))
    below = np.cumsum(negative) - negative
    ordered = float(np.sum(positive * (below + negative / 2))) - itself / 2
    pairs = float(positive.sum() * negative.sum()) - itself
    return ordered / pairs if len(values) and pairs > 1e-12 else None
