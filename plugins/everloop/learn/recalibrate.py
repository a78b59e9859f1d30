"""How calibrated scores are brought back to chances by newer labels: two numbers, fitted, applied and put into a calibrator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit

from everloop.decide.policy import RecalibrationPolicy
from everloop.decide.statistics.clusters import blocks
from everloop.decide.statistics.estimate import Estimate
from everloop.release import Calibrator

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Labels = npt.NDArray[np.bool_]
    Moments = npt.NDArray[np.datetime64]

STEPS = 50
"""Newton steps at most; fewer than ten are needed unless the labels are all alike, where the prior holds the fit."""
FINE = 0.01
"""Between two breakpoints of a recalibrated calibrator a probability rises by no more than this, so that its curve is kept."""
LEAST = 1e-6
"""Nearer to 0 or 1 no score is held to be."""


@dataclass(frozen=True)
class Labelled:
    """Rows (n) with a score, a label, when they were asked for and when the label was known (UTC), in any order."""

    scores: Floats
    labels: Labels
    asked: Moments
    known: Moments

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: Labels) -> Labelled:
        return Labelled(self.scores[rows], self.labels[rows], self.asked[rows], self.known[rows])


@dataclass(frozen=True)
class Recalibration:
    """`log odds = intercept + slope * log odds of the score` (Cox 1958, Two further applications of a model for binary
    regression, Biometrika 45(3/4)), fitted on `rows` labels of `blocks` blocks of time; `covariance` (2, 2) of the two numbers.

    The slope is above 0, so the order of scores stays.
    """

    intercept: float = 0.0
    slope: float = 1.0
    covariance: Floats | None = None
    rows: int = 0
    blocks: int = 0

    def apply(self, scores: Floats) -> Floats:
        """Recalibrated scores (n,) of scores (n,)."""
        found: Floats = expit(self.intercept + self.slope * _log_odds(scores))
        return found

    def compose(self, calibrator: Calibrator) -> Calibrator:
        """The calibrator that gives these scores of what `calibrator` takes."""
        x, y = _refined(calibrator)
        return Calibrator(x=tuple(x.tolist()), y=tuple(self.apply(y).tolist()))

    def shift(self, threshold: float, confidence: float, serving: Recalibration) -> Estimate:
        """By how much `serving` is off, in log odds, where this one decides; above 0 where labels are more frequent than it says.

        Its interval is that of Student with as many degrees of freedom as there are blocks, less one; below two it has no end.
        """
        at = np.array([1.0, (float(logit(threshold)) - self.intercept) / self.slope])
        value = float(at @ [self.intercept - serving.intercept, self.slope - serving.slope])
        variance = float(at @ self.covariance @ at) if self.covariance is not None else math.inf
        return Estimate.around(value, variance, self.rows, confidence, units=self.blocks, freedom=max(0, self.blocks - 1))


NONE = Recalibration()
"""Scores as they are."""


def fit(rows: Labelled, at: np.datetime64, policy: RecalibrationPolicy) -> Recalibration:
    """The recalibration by the labels known before `at`; none at all below the policy's least labels and blocks.

    Logistic regression with weights that fall by age, whose errors are those of sums over blocks of time (Liang & Zeger 1986,
    Longitudinal data analysis using generalized linear models, Biometrika 73(1)), never below those of independent rows; then the
    normal posterior of that estimate and the policy's prior (Müller 2013, Risk of Bayesian inference in misspecified models, and
    the sandwich covariance matrix, Econometrica 81(5)).
    """
    used = rows[(rows.known < at) & (rows.asked >= at - np.timedelta64(policy.window))]
    units = blocks(used.asked, policy.block)
    found = len(np.unique(units))
    if len(used) < policy.minimum_labels or found < policy.minimum_blocks:
        return Recalibration(rows=len(used), blocks=found)
    weights = 0.5 ** ((at - used.asked) / np.timedelta64(policy.half_life))
    design = np.stack([np.ones(len(used)), _log_odds(used.scores)])
    prior = np.diag([policy.intercept_spread**-2, policy.slope_spread**-2])
    best = _maximum(design, used.labels, weights, prior)
    likeliest, precision = _likelihood(design, used.labels, weights, units, best, prior)
    covariance = np.asarray(np.linalg.inv(precision + prior), dtype=np.float64)
    intercept, slope = covariance @ (precision @ likeliest + prior @ [0.0, 1.0])
    return Recalibration(float(intercept), max(float(slope), LEAST), covariance, len(used), found)


def prequential(rows: Labelled, policy: RecalibrationPolicy, judged: Labels | None = None) -> Floats:
    """Of each row, the score by the fit of the labels that were known when its block of time began (n,), or of those `judged`.

    So every row is forecast, and none judged by what has learnt from it (Dawid 1984, Present position and potential developments:
    some personal views, statistical theory, the prequential approach, J. R. Statist. Soc. A 147(2)).
    """
    wanted = rows if judged is None else rows[judged]
    found, width = wanted.scores.copy(), int(policy.block / timedelta(microseconds=1))
    begins = wanted.asked.astype("datetime64[us]").astype(np.int64) // width * width
    for begin in np.unique(begins):
        block = begins == begin
        found[block] = fit(rows, np.datetime64(int(begin), "us"), policy).apply(wanted.scores[block])
    return found


def translated(scores: Floats, given_by: Calibrator, to: Calibrator) -> Floats:
    """Scores (n,) that one calibrator gave of a booster's, as the other would have given them."""
    if given_by == to:
        return scores
    return np.interp(np.interp(scores, given_by.y, given_by.x), to.x, to.y)


def moment(at: datetime) -> np.datetime64:
    """A UTC time as the arrays hold it."""
    return np.datetime64(at.replace(tzinfo=None), "us")


def _log_odds(scores: Floats) -> Floats:
    found: Floats = logit(np.clip(scores, LEAST, 1 - LEAST))
    return found


def _refined(calibrator: Calibrator) -> tuple[Floats, Floats]:
    """Breakpoints with more between those that lie far apart; the curve stays."""
    x, y = np.asarray(calibrator.x), np.asarray(calibrator.y)
    parts = np.maximum(1, np.ceil(np.diff(y) / FINE)).astype(int)
    fine = np.concatenate([*(np.linspace(a, b, n, endpoint=False) for a, b, n in zip(x[:-1], x[1:], parts, strict=True)), x[-1:]])
    return fine, np.interp(fine, x, y)


def _maximum(design: Floats, labels: Labels, weights: Floats, prior: Floats) -> Floats:
    """Intercept and slope (2,) of the largest posterior, rows taken as independent, by Newton's method."""
    found = np.array([0.0, 1.0])
    for _ in range(STEPS):
        chances = expit(found @ design)
        gradient = design @ (weights * (labels - chances)) - prior @ (found - [0.0, 1.0])
        curvature = (design * (weights * chances * (1 - chances))) @ design.T + prior
        step = np.linalg.solve(curvature, gradient)
        found = found + step
        if np.abs(step).max() < 1e-9:
            break
    return found


def _likelihood(
    design: Floats, labels: Labels, weights: Floats, units: npt.NDArray[np.intp], best: Floats, prior: Floats
) -> tuple[Floats, Floats]:
    """Where the likelihood has its top (2,), and the precision (2, 2) of that by blocks, as a quadratic around `best`."""
    chances = expit(best @ design)
    residuals = weights * (labels - chances)
    # Scores that are all alike tell nothing of the slope, which is then the prior's.
    curvature = (design * (weights * chances * (1 - chances))) @ design.T + 1e-9 * np.eye(2)
    alone = (design * (weights**2 * chances * (1 - chances))) @ design.T + 1e-9 * np.eye(2)
    sums = np.stack([np.bincount(units, residuals * row) for row in design])
    sums -= sums.mean(axis=1, keepdims=True)
    together = sums @ sums.T * sums.shape[1] / (sums.shape[1] - 1)
    inverse = np.linalg.inv(_at_least(together, alone))
    likeliest = best + np.linalg.solve(curvature, prior @ (best - [0.0, 1.0]))
    return likeliest, curvature @ inverse @ curvature


def _at_least(matrix: Floats, least: Floats) -> Floats:
    """The smallest covariance (2, 2) that is in no direction below either."""
    root = np.linalg.cholesky(least)
    inverse = np.linalg.inv(root)
    values, vectors = np.linalg.eigh(inverse @ matrix @ inverse.T)
    turned = root @ vectors
    found: Floats = (turned * np.maximum(values, 1.0)) @ turned.T
    return found
