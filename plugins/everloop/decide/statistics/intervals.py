"""Intervals of rates and means: for one look, and always-valid ones that may be looked at as often as one likes."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.optimize import brentq
from scipy.special import betaln, ndtri, xlog1py, xlogy

LEAST = 1e-15
"""How close to 0 or 1 an end is looked for: one event in more than a million rows refutes no rate that is nearer than that."""


class Range(NamedTuple):
    """A closed range of plausible values."""

    low: float
    high: float


def wilson(successes: float, trials: float, confidence: float = 0.95) -> Range:
    """A rate's interval for one look: Wilson (1927), as eq. 4 of Brown, Cai & DasGupta (2001). No trial gives [0, 1]."""
    if trials <= 0:
        return Range(0.0, 1.0)
    z = float(ndtri((1 + confidence) / 2))
    rate, shrink = successes / trials, 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / shrink
    half = z / shrink * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    # Rounding must not make a rate of 0 or 1 impossible that was seen in every trial.
    return Range(max(0.0, centre - half) if successes else 0.0, min(1.0, centre + half) if successes < trials else 1.0)


def newcombe(first: tuple[float, float], second: tuple[float, float], confidence: float = 0.95) -> Range:
    """Interval of a difference of two independent rates, `first - second`, each `(successes, trials)`, for one look.

    Newcombe (1998), Interval estimation for the difference between independent proportions, method 10. [-1, 1] without trials.
    """
    if min(first[1], second[1]) <= 0:
        return Range(-1.0, 1.0)
    p, q = first[0] / first[1], second[0] / second[1]
    a, b = wilson(*first, confidence), wilson(*second, confidence)
    return Range(p - q - math.hypot(p - a.low, b.high - q), p - q + math.hypot(a.high - p, q - b.low))


def mean(average: float, variance: float, count: float, confidence: float = 0.95) -> Range:
    """A mean's normal interval for one look; `variance` is that of one row. Unbounded below two rows."""
    if count < 2:
        return Range(-math.inf, math.inf)
    half = float(ndtri((1 + confidence) / 2)) * math.sqrt(variance / count)
    return Range(average - half, average + half)


def rate_sequence(successes: float, trials: float, alpha: float) -> Range:
    """A rate's confidence sequence: with probability 1 - alpha it holds the true rate at every look, however many there are.

    Rows that move together come as effective counts (`clusters.Clusters.effective`), which need not be whole.

    The rates that the beta-binomial mixture martingale does not refute by Ville's inequality: `M(p) = B(1 + s, 1 + n - s) /
    (p^s (1-p)^(n-s)) < 1 / alpha` (Robbins 1970, Statistical methods related to the law of the iterated logarithm, sec. 2;
    Howard, Ramdas, McAuliffe & Sekhon 2021, Time-uniform, nonparametric, nonasymptotic confidence sequences, sec. 3.2).
    """
    if trials <= 0:
        return Range(0.0, 1.0)
    failures, rate = trials - successes, successes / trials
    bound = float(betaln(1 + successes, 1 + failures)) + math.log(alpha)

    def doubt(p: float) -> float:
        """Above 0 where `p` is not refuted."""
        return (successes * math.log(p) if successes else 0.0) + (failures * math.log1p(-p) if failures else 0.0) - bound

    low = float(brentq(doubt, LEAST, rate)) if successes and doubt(LEAST) < 0 else 0.0
    high = float(brentq(doubt, rate, 1 - LEAST)) if failures and doubt(1 - LEAST) < 0 else 1.0
    return Range(low, high)


def mean_sequence(average: float, variance: float, count: float, alpha: float, tightest_at: int) -> Range:
    """A mean's asymptotic confidence sequence: covers the true mean at every look from the first large one on.

    Sequential normal mixture (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, Time-uniform central limit theory and
    asymptotic confidence sequences, Annals of Statistics 52(6), Theorem 2.2):
    `average +- s sqrt(2 (t r^2 + 1) / (t^2 r^2) log(sqrt(t r^2 + 1) / alpha))`, with `s` the standard deviation of a row, and
    r from `tightest_at`, the count where it is narrowest (their appendix on optimising rho). Rows count as independent: the
    width is too small when few events move many rows together. Unbounded below two rows.
    """
    if count < 2:
        return Range(-math.inf, math.inf)
    spread = -2 * math.log(alpha)
    t_rho2 = count * (spread + math.log(spread + 1)) / max(2, tightest_at)
    half = math.sqrt(variance * 2 * (t_rho2 + 1) / (count * t_rho2) * math.log(math.sqrt(t_rho2 + 1) / alpha))
    return Range(average - half, average + half)


def split_evidence(observed: tuple[int, int], share: float) -> float:
    """The e-value of counts `(ours, others)` against each unit being ours with probability `share`.

    Dirichlet-multinomial Bayes factor (Lindon & Malek 2022, Anytime-valid inference for multinomial count data, eq. 5, here
    with two cells and prior Beta(10 share, 10 (1 - share))). Under the right share it exceeds 1 / alpha at any look with
    probability at most alpha. Capped at 1e12.
    """
    ours, others = observed
    a, b = 10 * share, 10 * (1 - share)
    log_value = betaln(a + ours, b + others) - betaln(a, b) - xlogy(ours, share) - xlog1py(others, -share)
    return float(math.exp(min(float(log_value), math.log(1e12))))
