"""The ratio of two independent rates."""

from __future__ import annotations

import math

from everloop.decide.statistics.intervals import Range, wilson


def ratio(first: tuple[float, float], second: tuple[float, float], confidence: float = 0.95) -> Range:
    """Interval of `first / second`, each `(successes, trials)`, for one look. [0, inf] without trials or successes of `second`.

    Two Wilson intervals, joined by the method of variance estimates recovery (Donner & Zou 2012, Closed-form confidence intervals
    for functions of the normal mean and standard deviation, Statistical Methods in Medical Research 21(4)); among the intervals
    that Fagerland, Lydersen & Laake (2015), Recommended confidence intervals for two independent binomial proportions, recommend.
    Unlike the logarithmic interval (Katz et al. 1978) it also stands when `first` has no success.
    """
    if min(first[1], second[1]) <= 0 or second[0] <= 0:
        return Range(0.0, math.inf)
    p, q = first[0] / first[1], second[0] / second[1]
    a, b = wilson(*first, confidence), wilson(*second, confidence)
    below, above = a.low * (2 * p - a.low), a.high * (2 * p - a.high)
    # The lower limit with its root in the denominator: the other form is 0 / 0 where the interval of q reaches 2 q.
    under = p * q + _root(p, q, below * b.high * (2 * q - b.high))
    over = b.low * (2 * q - b.low)
    return Range(max(0.0, below / under) if under > 0 else 0.0, (p * q + _root(p, q, above * over)) / over)


def _root(p: float, q: float, product: float) -> float:
    return math.sqrt(max(0.0, p * p * q * q - product))
