"""How far scores are from the rates that they promise, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.decide.statistics.clusters import Codes
from everloop.decide.statistics.estimate import Estimate, quantile

if TYPE_CHECKING:
    import numpy.typing as npt

    Labels = npt.NDArray[np.bool_]
    Scores = npt.NDArray[np.float64]

BINS = 10


def calibration_bins(labels: Labels, scores: Scores, bins: int = BINS) -> tuple[Scores, Scores, Scores]:
    """Mean score, label rate and share of rows of `bins` bins of equal size, by score (fewer when there are fewer rows)."""
    parts = _parts(scores, bins)
    means = np.array([[scores[part].mean(), labels[part].mean(), part.size / len(scores)] for part in parts])
    return means[:, 0], means[:, 1], means[:, 2]


def _parts(scores: Scores, bins: int) -> list[Codes]:
    """The rows of each bin."""
    return [part for part in np.array_split(np.argsort(scores, stable=True), bins) if part.size]


def calibration_error(labels: Labels, scores: Scores, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal size (Nguyen & O'Connor 2015, Posterior calibration and exploratory
    analysis for NLP models, sec. 2; equal sizes keep every bin's rate well estimated).
    """
    score, rate, share = calibration_bins(labels, scores, bins)
    return float((share * np.abs(score - rate)).sum())


def calibration_interval(
    labels: Labels, scores: Scores, confidence: float = 0.95, bins: int = BINS, units: Codes | None = None
) -> Estimate | None:
    """`calibration_error` with an interval of the error that these bins would show with endless rows.

    `None` without a row, and with less than two `units` (codes (rows,) of what is independent) where they are given.

    Few rows show an error even of perfect scores (Kumar, Liang & Ma 2019, Verified Uncertainty Calibration, on the bias of the
    plug-in estimator), so the lower limit gives up what chance alone may add. With `d` the true gap of a bin, `w` its share and
    `e` the normal error of its rate:
    - `sum w |d + e| >= sum w sign(d) (d + e)`, which is normal around the true error: the upper limit is the estimate plus z of
      the standard deviation of `sum w sign(d) e`.
    - `sum w |d + e| <= sum w |d| + sum w |e|`; the mean of the last is `sqrt(2 / pi) sum w sd(e)`: the lower limit is the
      estimate less that mean and z of a standard deviation of `sum w |e|`.
    """
    if not len(labels):
        return None
    score, rate, share = calibration_bins(labels, scores, bins)
    gaps = score - rate
    noise = _alone(rate, share, len(labels)) if units is None else _by_unit(labels, scores, units, gaps, bins)
    if noise is None:
        return None
    value, reach = float((share * np.abs(gaps)).sum()), quantile(confidence, noise.freedom)
    low = max(0.0, value - noise.chance - reach * noise.below)
    high = value + reach * noise.above
    return Estimate(value=value, low=low, high=high, rows=len(labels), units=noise.units, freedom=noise.freedom)


@dataclass(frozen=True)
class _Noise:
    """What chance does to the error: the mean that it adds at most, and standard deviations for the lower and the upper limit."""

    chance: float
    below: float
    above: float
    units: int | None = None
    freedom: float | None = None


def _deviations(rate: Scores, share: Scores, total: int) -> Scores:
    """Standard deviation of each bin's rate, times its share, if rows are independent.

    `r (1 - r) / rows` with `r` by the rule of succession, so that a bin with one kind of label is not held to be sure.
    """
    rows = share * total
    smooth = (rate * rows + 1) / (rows + 2)
    found: Scores = share * np.sqrt(smooth * (1 - smooth) / rows)
    return found


def _chance(deviations: Scores) -> float:
    return math.sqrt(2 / math.pi) * float(deviations.sum())


def _alone(rate: Scores, share: Scores, total: int) -> _Noise:
    """Of independent rows, whose bins err independently: `sum w |e|` varies no more than `sum w e`."""
    deviations = _deviations(rate, share, total)
    spread = float(np.sqrt((deviations**2).sum()))
    return _Noise(_chance(deviations), spread, spread)


def _by_unit(labels: Labels, scores: Scores, units: Codes, gaps: Scores, bins: int) -> _Noise | None:
    """Of rows that move together: the covariance of the bins' errors is that of their sums over units, as in `clustered`.

    The signs of small gaps are not known, so the upper limit allows for the worst ones: no signs make `sum w sign(d) e` vary more
    than the sum of the covariances' absolute values. Two normal errors of correlation r have absolute values of covariance
    `2 / pi (r asin r + sqrt(1 - r^2) - 1)`, in units of their standard deviations (Nabeya 1951, Absolute moments in
    2-dimensional normal distribution, Annals of the Institute of Statistical Mathematics 3).
    """
    found, place = np.unique(units, return_inverse=True)
    if len(found) < 2:
        return None
    parts = _parts(scores, bins)
    sums = np.array(
        [np.bincount(place[p], scores[p] - labels[p] - gap, len(found)) for p, gap in zip(parts, gaps, strict=True)]
    ) / len(labels)  # fmt: skip
    covariance = sums @ sums.T * len(found) / (len(found) - 1)
    rate, share = np.array([labels[p].mean() for p in parts]), np.array([p.size / len(labels) for p in parts])
    least = _deviations(rate, share, len(labels)) ** 2
    np.fill_diagonal(covariance, np.maximum(covariance.diagonal(), least))
    deviations = np.sqrt(covariance.diagonal())
    alike = np.clip(covariance / np.outer(deviations, deviations), -1, 1)
    folded = 2 / math.pi * (alike * np.arcsin(alike) + np.sqrt(1 - alike**2) - 1)
    below, above = float(deviations @ folded @ deviations), float(np.abs(covariance).sum())
    return _Noise(_chance(deviations), math.sqrt(below), math.sqrt(above), len(found), len(found) - 1)
