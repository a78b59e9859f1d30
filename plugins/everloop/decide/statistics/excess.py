"""Whether one rate exceeds another: evidence and lower ends that hold at every look, from counts that need not be whole.

Counts are `(hits, trials)` of independent rows, or the effective ones of rows that come in units (`statistics.clusters`).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtri

from everloop.decide.statistics.intervals import mean_sequence

Counts = tuple[float, float]
Floats = npt.NDArray[np.float64]

RATIOS: Floats = np.exp2(np.arange(0.25, 6.01, 0.25))
"""How many times as high our rate may be, from 1.19 to 64, a quarter octave apart. Having so many costs `log(24)` of evidence at
most."""

TOLERANCE = 1e-9
"""How close to the truth a lower end is found."""


def log_evidence(ours: Counts, theirs: Counts) -> float:
    """The log of the e-value against "our rate is at most theirs"; 0 where either side has no trial.

    Of all hits a share of `trials / (both trials)` should be ours. A hit multiplies the capital by how much likelier it is where
    our rate is `ratio` times as high, and the capitals of all `RATIOS` are averaged: no other number of the two rates enters, so
    neither must be known (the anytime-valid logrank test with the arms as groups: ter Schure, Pérez-Ortiz, Ly & Grünwald 2024,
    The anytime-valid logrank test, New England J. Statistics in Data Science 2(2), sec. 3; mixtures: Robbins 1970). While the
    claim holds it exceeds `log(1 / alpha)` at any look with probability at most alpha (Ville's inequality): exactly for rare
    hits, and with room for frequent ones, whose number varies less than is assumed. That is so while the share stands; where the
    other side has answered before and stands still, the e-value holds at each look, and at many by simulation: equal rates of 0.5
    to 15 % exceed it in at most 0.6 alpha, looked at 200 times while our side grows to twenty times the other. Rows of entities
    (intraclass correlation 0.1 and 0.5), by effective counts: at most 0.9 alpha at 5 %; at 1 % at most alpha, but for another
    side of a hundred entities with few hits, where it is 1.9 alpha, and 1.1 where a margin of 1 % must be exceeded too.
    """
    (hits, trials), (others, other_trials) = ours, theirs
    if not trials or not other_trials:
        return 0.0
    share = trials / (trials + other_trials)
    capitals = hits * np.log(RATIOS) - (hits + others) * np.log1p(share * (RATIOS - 1))
    most = float(capitals.max())
    return most + math.log(float(np.exp(capitals - most).mean()))


def at_least(ours: Counts, theirs: Counts, alpha: float, tightest_at: int) -> float:
    """The lower end of "our rate less theirs": at every look the difference lies above it, but for `alpha`.

    The differences that a score test does not refute (Farrington & Manning 1990, Test statistics and sample size formulae for
    comparative binomial trials, Statistics in Medicine 9(12): the variance is that under the difference in question, with the
    rates of their method 2, which keeps the total of hits), at the level of a normal mixture (`intervals.mean_sequence`, one side
    of it, so `alpha` below a half) that is narrowest at `tightest_at` of our trials. Below two trials of ours it
    is -1, the least that it can be; without trials of theirs, whose rate is then taken to be 0, that is 0.
    """
    floor = -1.0 if theirs[1] else 0.0
    if not ours[1]:
        return floor

    def doubt(difference: float) -> float:
        """Above 0 where `difference` is not refuted."""
        apart, variance = _score(ours, theirs, difference)
        return -mean_sequence(apart, variance * ours[1], ours[1], 2 * alpha, tightest_at).low

    # Just below what was seen, since there, without a hit on either side, nothing varies: the doubt is nought, not above it.
    least, most = floor + TOLERANCE, _rate(ours) - _rate(theirs) - TOLERANCE
    return float(brentq(doubt, least, most, xtol=TOLERANCE)) if most > least and doubt(least) < 0 <= doubt(most) else floor


def exceeds(ours: Counts, theirs: Counts, margin: float, alpha: float) -> bool:
    """Whether one look at the same score test shows our rate to be above theirs by more than `margin`."""
    if not ours[1]:
        return False
    apart, variance = _score(ours, theirs, margin)
    return apart > float(ndtri(1 - alpha)) * math.sqrt(variance)


def _score(ours: Counts, theirs: Counts, difference: float) -> tuple[float, float]:
    """How far our rate lies above `theirs + difference`, and the variance of that were it the truth."""
    trials, other_trials = ours[1], theirs[1]
    pooled = (ours[0] + theirs[0] - trials * difference) / (trials + other_trials) if other_trials else 0.0
    other = min(max(pooled, 0.0, -difference), 1.0, 1.0 - difference)
    rate = other + difference
    variance = rate * (1 - rate) / trials + (other * (1 - other) / other_trials if other_trials else 0.0)
    return _rate(ours) - _rate(theirs) - difference, max(variance, 0.0)


def _rate(counts: Counts) -> float:
    return counts[0] / counts[1] if counts[1] else 0.0
