"""Always-valid intervals of bounded means, for any sample size: what a gambler wins who bets against a claimed mean.

Nothing is assumed of the rows but the two bounds. All is computed from how often each value occurred, so counts of any batches
add up and the order of rows does not matter.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from everloop.decide.statistics.intervals import Range

Floats = npt.NDArray[np.float64]

STAKES: Floats = 2.0 ** -np.arange(0.5, 8.01, 0.5)
"""Shares of the capital that are put at risk, half an octave apart: the best constant stake of any difference that some ten
thousand rows can show lies among them or within a quarter octave, where the capital grows at least 0.96 times as fast (for small
stakes the rate is `1 - (1 - stake / best)^2` of the best one's). Having sixteen costs at most `log(16)` of evidence."""


def log_evidence(values: Floats, counts: Floats, mean: float, bound: float) -> float:
    """The log of the e-value against "the mean is at most `mean`", of `values` (k,) from `bound` on, each seen `counts` times.

    Bets of constant stakes on each value lying above `mean`, and the mean of their capitals (diversified Kelly betting:
    Waudby-Smith & Ramdas 2024, Estimating means of bounded random variables by betting, JRSS B 86(1), sec. 2 for the capital
    process `prod(1 + lambda (x - m))`, appendix for its mixtures). While the claim holds it exceeds `log(1 / alpha)` at any look
    with probability at most alpha (Ville's inequality). Minus infinity for a claim at or below `bound`, unless nothing was seen.
    """
    if not counts.sum():
        return 0.0
    if mean <= bound:
        return math.inf if values[counts > 0].max() > mean else -math.inf
    gains = (values - mean) / (mean - bound)
    capitals = np.log1p(np.outer(STAKES, gains)) @ counts
    most = float(capitals.max())
    return most + math.log(float(np.exp(capitals - most).mean()))


def mean_at_least(values: Floats, counts: Floats, bound: float, alpha: float) -> float:
    """The lower end of a bounded mean's one-sided confidence sequence: at every look the mean lies above it, but for `alpha`.

    The largest mean that the bets refute; `bound` where they refute none. Right to 1e-9 of the bound.
    """
    if not counts.sum():
        return bound
    average, least = float(values @ counts / counts.sum()), bound + 1e-9 * max(1.0, abs(bound))

    def doubt(mean: float) -> float:
        """Above 0 where `mean` is not refuted."""
        return -math.log(alpha) - log_evidence(values, counts, mean, bound)

    if doubt(least) > 0:
        return bound
    return float(brentq(doubt, least, average))


def bounded_mean(values: Floats, counts: Floats, bounds: Range, alpha: float) -> Range:
    """A bounded mean's confidence sequence: with probability 1 - alpha it holds the mean at every look, a side at alpha / 2."""
    low = mean_at_least(values, counts, bounds.low, alpha / 2)
    return Range(low, -mean_at_least(-values, counts, -bounds.high, alpha / 2))
