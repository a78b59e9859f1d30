"""How well a model does before any label is known: the confusion matrix that its calibrated scores expect (CBPE)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide.policy import CostMatrix
from everloop.decide.statistics.clusters import Codes
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.watch.dependence import Dependence, Residual, Spread
from everloop.decide.watch.sketch import bins

Scores = npt.NDArray[np.float64]

WINDOWS = 12
"""How many of the latest labelled windows tell, beside the held-out rows, what scores may be off by: a quarter in weeks."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Performance expected of `rows` scored rows. `auc`, `precision`, `recall`, `f1` are `None` where they are undefined."""

    rows: int
    true_positives: float
    false_positives: float
    false_negatives: float
    true_negatives: float
    auc: Estimate | None
    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None
    cost: Estimate

    def measures(self) -> dict[str, Estimate]:
        """The measures that are defined, by name."""
        found = {"auc": self.auc, "cost": self.cost, "precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class Calibration:
    """How far labels lay from the scores in each of w windows, and what rows of one block of time shared.

    `edges`: inner cut points (k,) of the score bins; `bias`: mean residuals (w, k + 1); `known`: how well, by window.
    """

    edges: tuple[float, ...]
    bias: Scores
    known: tuple[Spread, ...]
    dependence: Dependence

    @classmethod
    def of(cls, edges: Sequence[float], windows: Sequence[Mapping[str, Any]]) -> Calibration:
        """From residuals (`decide.watch.concept`): the release's held-out rows, and the latest windows that have labels.

        A bin with fewer than two rows knows nothing: its variance is the largest that a rate can have, 1/4.
        """
        dependence = Dependence.of(windows)
        bias = np.array([Residual.of(one).mean for one in windows])
        return cls(tuple(edges), bias, tuple(dependence.spread(one) for one in windows), dependence)

    def error(self, scores: Scores, gradient: Scores) -> float:
        """Mean square of what the scores' errors make of a number with this `gradient` (rows,) in the rows' chances.

        In each window the score bins were off by `bias`, known up to a covariance V; with G the gradient summed by bin, that is
        `(G . bias)^2 + G V G`, and its mean over the windows is what to expect of the next one.
        """
        by_bin: Scores = np.bincount(bins(self.edges, scores), gradient, self.bias.shape[1]).astype(float)
        known = np.array([spread.variance(by_bin) for spread in self.known])
        return float(np.mean((self.bias @ by_bin) ** 2 + known))

    def noise(self, scores: Scores, gradient: Scores, units: Codes) -> float:
        """What labels of one block of time, which move together, add to the variance of independent ones."""
        found, block = np.unique(units, return_inverse=True)
        size = self.bias.shape[1]
        cell = block * size + bins(self.edges, scores)
        sums: Scores = np.bincount(cell, gradient, len(found) * size).reshape(-1, size).astype(float)
        return self.dependence.between(sums)


def expect(
    scores: Scores,
    threshold: float,
    cost: CostMatrix,
    calibration: Calibration | None = None,
    units: Codes | None = None,
    confidence: float = 0.95,
) -> Expected | None:
    """Performance expected of calibrated `scores` (rows,) when nobody knows the labels; `None` without rows.

    Confidence-based performance estimation (Kivimäki, Białek, Kuberski & Nurminen 2025, Performance estimation in binary
    classification using calibrated confidence, arXiv 2505.05295): a row of score p is positive with probability p. Ratios are
    ratios of expectations, which many rows make the same as the expectation of the ratio.

    The intervals hold the spread of labels drawn from the scores, to first order in each label (for the cost exactly: a
    Poisson-binomial sum), and the calibrator's error as far as labels have shown it: by `calibration`, what scores were off by in
    held-out rows and in the windows since, taken as what they may be off by again, and what labels of one block of time (`units`
    (rows,)) share. Without it they hold the labels' spread alone. That w windows tell so little counts: the ends are Student's,
    with w degrees of freedom where all comes from them and more where they tell a part (Satterthwaite 1946, An approximate
    distribution of estimates of variance components, Biometrics Bulletin 2(6)). So the first estimates of a release are wide.
    Neither knows of a relation that moves anew: `decide.watch.assumptions` asks for that.
    """
    if not len(scores):
        return None
    alarm = scores >= threshold
    hits, misses = float(scores[alarm].sum()), float(scores[~alarm].sum())
    false_alarms, rest = float((1 - scores[alarm]).sum()), float((1 - scores[~alarm]).sum())
    spread = _Spread(scores, calibration, units, confidence)
    return Expected(
        rows=len(scores),
        true_positives=hits,
        false_positives=false_alarms,
        false_negatives=misses,
        true_negatives=rest,
        auc=_auc(scores, spread),
        **_ratios(alarm, hits, misses, spread),
        cost=spread.around(
            (false_alarms * cost.false_positive + misses * cost.false_negative) / len(scores),
            np.where(alarm, -cost.false_positive, cost.false_negative) / len(scores),
        ),
    )


@dataclass(frozen=True)
class _Spread:
    """What a number may be off by, given how it changes with each row's chance."""

    scores: Scores
    calibration: Calibration | None
    units: Codes | None
    confidence: float

    def around(self, value: float, gradient: Scores) -> Estimate:
        """The interval of a number with this `gradient` (rows,) in the rows' chances: label noise, and the calibrator's error."""
        variance = float(np.sum(gradient**2 * self.scores * (1 - self.scores)))
        if self.calibration is None:
            return Estimate.around(value, variance, len(self.scores), self.confidence)
        error = self.calibration.error(self.scores, gradient)
        if self.units is not None:
            variance += self.calibration.noise(self.scores, gradient, self.units)
        freedom = len(self.calibration.bias) * ((error + variance) / error) ** 2 if error else None
        return Estimate.around(value, variance + error, len(self.scores), self.confidence, freedom=freedom)


def _ratios(alarm: npt.NDArray[np.bool_], hits: float, misses: float, spread: _Spread) -> dict[str, Estimate | None]:
    """Precision, recall and F1, `2 hits / (alarms + positives)`."""
    alarmed = alarm.astype(float)
    alarms, positives = float(alarmed.sum()), hits + misses
    found: dict[str, Estimate | None] = dict.fromkeys(("precision", "recall", "f1"))
    if alarms:
        found["precision"] = spread.around(hits / alarms, alarmed / alarms)
    if positives:
        recall = hits / positives
        found["recall"] = spread.around(recall, (alarmed - recall) / positives)
    if alarms + positives:
        f1 = 2 * hits / (alarms + positives)
        found["f1"] = spread.around(f1, (2 * alarmed - f1) / (alarms + positives))
    return found


def _auc(scores: Scores, spread: _Spread) -> Estimate | None:
    """`expected_auc`; a row that turns positive adds its ordered pairs with negatives and takes away those with positives."""
    area, positives, negatives = expected_auc(scores), float(scores.sum()), float((1 - scores).sum())
    if area is None or min(positives, negatives) < 1:
        return None
    group, positive, negative = _by_value(scores)
    above_negatives = ((np.cumsum(negative) - negative / 2) / negatives)[group]
    below_positives = 1 - ((np.cumsum(positive) - positive / 2) / positives)[group]
    return spread.around(area, (above_negatives - area) / positives - (below_positives - area) / negatives)


def expected_auc(scores: Scores) -> float | None:
    """The expected share of correctly ordered pairs of different rows, ties counting half; `None` without any such pair.

    The sum over pairs i != j of p_i (1 - p_j) ([s_i > s_j] + [s_i = s_j] / 2), over the sum of p_i (1 - p_j).
    """
    _, positive, negative = _by_value(scores)
    itself = float(np.sum(scores * (1 - scores)))
    below = np.cumsum(negative) - negative
    ordered = float(np.sum(positive * (below + negative / 2))) - itself / 2
    pairs = float(positive.sum() * negative.sum()) - itself
    return ordered / pairs if pairs > 1e-12 else None


def _by_value(scores: Scores) -> tuple[npt.NDArray[np.intp], Scores, Scores]:
    """Each row's place among the distinct scores (n,), and the expected positives and negatives at each of them, ascending."""
    distinct, group, rows = np.unique(scores, return_inverse=True, return_counts=True)
    return group, distinct * rows, (1 - distinct) * rows
