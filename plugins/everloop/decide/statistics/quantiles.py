"""Always-valid intervals of a quantile, from a histogram."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, xlog1py, xlogy

from everloop.decide.statistics.intervals import Range


def quantile(counts: Sequence[int], edges: npt.NDArray[np.float64], share: float) -> float:
    """The value that `share` of the rows stay at or under: the upper end of its bucket. NaN without rows.

    `counts` (k + 1,) of buckets with upper ends `edges` (k,), the last one open.
    """
    if not sum(counts):
        return math.nan
    bucket = int(np.searchsorted(np.cumsum(counts), share * sum(counts) - 1e-9))
    return float(edges[bucket]) if bucket < len(edges) else math.inf


def quantile_sequence(counts: Sequence[float], edges: npt.NDArray[np.float64], share: float, alpha: float) -> Range:
    """A quantile's confidence sequence: with probability 1 - alpha it holds the `share` quantile at every look.

    The values for which the share of rows at or under them is not refuted to be `share`, by the beta-binomial mixture martingale
    of `intervals.rate_sequence` (Howard & Ramdas 2022, Sequential estimation of quantiles with applications to A/B testing and
    best-arm identification, Bernoulli 28(3), for one quantile fixed beforehand). The ends are ends of buckets, rounded outwards.
    """
    total = sum(counts)
    if not total:
        return Range(-math.inf, math.inf)
    below = np.cumsum(counts)[:-1]
    martingale = betaln(1 + below, 1 + total - below) - xlogy(below, share) - xlog1py(total - below, -share)
    refuted = martingale >= -math.log(alpha)
    under, over = edges[refuted & (below < share * total)], edges[refuted & (below > share * total)]
    return Range(float(under[-1]) if len(under) else -math.inf, float(over[0]) if len(over) else math.inf)
