"""How far scores are from the rates that they promise, and how sure that is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from everloop.decide.statistics.compare import Estimate

if TYPE_CHECKING:
    import numpy.typing as npt

    Labels = npt.NDArray[np.bool_]
    Scores = npt.NDArray[np.float64]

BINS = 10


def calibration_bins(labels: Labels, scores: Scores, bins: int = BINS) -> tuple[Scores, Scores, Scores]:
    """Mean score, label rate and share of rows of `bins` bins of equal size, by score (fewer when there are fewer rows)."""
    parts = [part for part in np.array_split(np.argsort(scores, stable=True), bins) if part.size]
    means = np.array([[scores[part].mean(), labels[part].mean(), part.size / len(scores)] for part in parts])
    return means[:, 0], means[:, 1], means[:, 2]


def calibration_error(labels: Labels, scores: Scores, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal size (Nguyen & O'Connor 2015, Posterior calibration and exploratory
    analysis for NLP models, sec. 2; equal sizes keep every bin's rate well estimated).
    """
    score, rate, share = calibration_bins(labels, scores, bins)
    return float((share * np.abs(score - rate)).sum())


def calibration_interval(labels: Labels, scores: Scores, confidence: float = 0.95, bins: int = BINS) -> Estimate | None:
    """`calibration_error` with an interval of the error that these bins would show with endless rows; `None` without a row.

    Few rows show an error even of perfect scores (Kumar, Liang & Ma 2019, Verified Uncertainty Calibration, on the bias of the
    plug-in estimator), so the lower limit gives up what chance alone may add. With `d` the true gap of a bin, `w` its share and
    `e` the normal error of its rate, of variance v:
    - `sum w |d + e| >= sum w sign(d) (d + e)`, which is normal around the true error with variance `sum w^2 v`: the upper limit
      is the estimate plus z of its standard deviation.
    - `sum w |d + e| <= sum w |d| + sum w |e|`; the mean of the last is `sqrt(2 / pi) sum w sqrt(v)` and its variance at most
      `sum w^2 v`: the lower limit is the estimate less that mean and z of that standard deviation.
    `v` is `r (1 - r) / rows` with `r` by the rule of succession, so that a bin with one kind of label is not held to be sure.
    """
    if not len(labels):
        return None
    score, rate, share = calibration_bins(labels, scores, bins)
    rows = share * len(labels)
    smooth = (rate * rows + 1) / (rows + 2)
    deviations = share * np.sqrt(smooth * (1 - smooth) / rows)
    value = float((share * np.abs(score - rate)).sum())
    chance = math.sqrt(2 / math.pi) * float(deviations.sum())
    half = float(ndtri((1 + confidence) / 2)) * float(np.sqrt((deviations**2).sum()))
    return Estimate(value=value, low=max(0.0, value - chance - half), high=value + half, rows=len(labels))
