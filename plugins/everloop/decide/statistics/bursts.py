"""Rates and quantiles of rows that come in units of very different size, the large ones of which may fare worse: bursts, callers.

`clusters.correlation` takes units of any size to be alike; here the sums of units speak for themselves. Rows count for as many
independent ones as they are worth: fewer by the design effect, and by the squared ratio of the normal quantile to Student's, as
that effect is estimated itself (Korn & Graubard 1998, Confidence intervals for proportions with small expected number of positive
counts estimated from survey data, Survey Methodology 24(2)).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, bdtrik

from everloop.decide.statistics.clusters import Clusters, Codes
from everloop.decide.statistics.estimate import Estimate, quantile
from everloop.decide.statistics.intervals import wilson


def burst_rate(hits: npt.NDArray[np.bool_], units: Codes, confidence: float) -> Estimate:
    """The share of rows (rows,) that are hits, by Wilson's interval; one row at least. One unit alone tells nothing: [0, 1].

    Where no row is a hit, or every one, nothing is seen to come in bursts: each row counts.
    """
    found = Clusters.counted(units, hits)
    rows = _worth(found, confidence)
    low, high = wilson(found.rate * rows, rows, confidence)
    return Estimate(value=found.rate, low=low, high=high, rows=len(hits), units=found.units, freedom=found.units - 1)


def burst_quantile(values: npt.NDArray[np.float64], units: Codes, share: float, confidence: float) -> Estimate:
    """What `share` of the rows stay at or under, between two order statistics; `values` and `units` (rows,), one at least.

    How many rows lie at or under the true quantile is binomial, so the ranks of the ends are binomial quantiles (David & Nagaraja
    2003, Order Statistics, sec. 7.1), here of the rows' worth by how those from the quantile on come in units (Woodruff 1952,
    Confidence intervals for medians and other position measures, JASA 47(260)). Too few rows for an end, or one unit, have none.
    """
    ordered = np.sort(values)
    value = float(ordered[_place(share, 1.0, len(ordered))])
    found = Clusters.counted(units, values >= value)
    rows = _worth(found, confidence)
    low, high = _ranks(rows, share, (1 - confidence) / 2)
    return Estimate(
        value=value,
        low=float(ordered[_place(low, rows, len(ordered))]) if low >= 1 else -math.inf,
        high=float(ordered[_place(high, rows, len(ordered))]) if high <= rows else math.inf,
        rows=len(values),
        units=found.units,
        freedom=found.units - 1,
    )


def _worth(found: Clusters, confidence: float) -> float:
    """As many independent rows as these are worth."""
    freedom = found.units - 1
    if freedom < 1:
        return 0.0
    alone = found.rate * (1 - found.rate) * found.trials
    apart = found.scatter * found.units / freedom
    effect = max(1.0, apart / alone) if alone else 1.0
    return float(found.trials / effect * (quantile(confidence) / quantile(confidence, freedom)) ** 2)


def _ranks(rows: float, share: float, tail: float) -> tuple[float, float]:
    """The ranks, from 1, between which the quantile of so many rows lies, each missed with probability `tail` at most."""
    return _binomial(tail, math.floor(rows), share), _binomial(1 - tail, math.floor(rows), share) + 1


def _binomial(probability: float, trials: int, share: float) -> float:
    """The smallest count that is not exceeded with that probability."""
    if not trials:
        return 0.0
    found = math.ceil(bdtrik(probability, trials, share))
    return float(found - 1 if found and bdtr(found - 1, trials, share) >= probability else found)


def _place(rank: float, of: float, rows: int) -> int:
    """Where the row of a rank among `of` stands among `rows` ordered ones."""
    return min(rows, max(1, math.ceil(rank / of * rows - 1e-9))) - 1
