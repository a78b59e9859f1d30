"""How many requests, labels and days an experiment needs, and what a given traffic can show."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from everloop.decide.experiment.effect import effect
from everloop.decide.experiment.sums import Sums
from everloop.decide.policy import ExperimentPlan
from everloop.decide.statistics.intervals import mean_sequence


@dataclass(frozen=True, kw_only=True)
class Past:
    """What the log shows of the release that serves: `sums` of its entities, over `days`; `requests`, with label or without.

    `explained`: the share of the variance that CUPED is expected to take out.
    """

    sums: Sums
    requests: int
    days: float
    explained: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Design:
    """What it takes. `rows` are those with a metric (with labels, where it needs them), of both arms.

    `fixed_rows`: were it looked at once only; `inflation`: what looking at any time costs against that. `detectable`: the
    smallest effect, in the metric's unit, that `days` of this traffic show, by number of days.
    """

    mean: float
    effect: float
    fixed_rows: int
    rows: int
    inflation: float
    requests: int
    days: float
    detectable: dict[int, float]


HORIZONS = (7, 14, 28)
"""Days for which the detectable effect is told: whole weeks, so that every weekday counts alike."""


def design(past: Past, plan: ExperimentPlan) -> Design | None:
    """What `plan` takes at the traffic of `past`; `None` where that has fewer than two entities, or nothing varies.

    Rows of one entity go together, so more of them are needed than independent ones, by the design effect that the log shows
    (Kish 1965, Survey Sampling, ch. 8: variance of the mean over that of as many independent rows). It is
    taken to stay, which it does while new entities come as fast as before.
    """
    sums = past.sums
    if sums.entities < 2 or not sums.rows or not (variance := sums.spread.metric * (1 - past.explained)):
        return None
    mean, per_row = sums.mean, variance * sums.rows / sums.entities
    difference = plan.effect * abs(mean) if plan.relative else plan.effect

    def needed(critical: float) -> float:
        if plan.metric.rate and 0 < mean < 1 and mean + difference < 1:
            size = proportion_effect(mean + difference, mean)
            return per_row / (mean * (1 - mean)) * units(size, 1.0, plan, critical)
        return units(difference, math.sqrt(per_row), plan, critical)

    fixed, rows = needed(fixed_boundary(plan.alpha)), needed(sequential_boundary(plan.alpha))
    daily = sums.rows / past.days
    return Design(
        mean=mean,
        effect=difference,
        fixed_rows=math.ceil(fixed),
        rows=math.ceil(rows),
        inflation=rows / fixed,
        requests=math.ceil(rows * past.requests / sums.rows),
        days=rows / daily,
        detectable={days: detectable(daily * days, math.sqrt(per_row), plan) for days in HORIZONS},
    )


def proportion_effect(first: float, second: float) -> float:
    """The size of a difference of two shares: `2 asin(sqrt(first)) - 2 asin(sqrt(second))`, whose deviation is 1.

    Cohen (1988), Statistical Power Analysis for the Behavioral Sciences, ch. 6, h.
    """
    return 2 * math.asin(math.sqrt(first)) - 2 * math.asin(math.sqrt(second))


def fixed_boundary(alpha: float) -> float:
    """How many standard errors a difference must lie from nought at one look, two-sided."""
    return float(ndtri(1 - alpha / 2))


def sequential_boundary(alpha: float) -> float:
    """The same for any number of looks, at the planned end, where `mean_sequence` is tightest; elsewhere it is more."""
    return mean_sequence(0.0, 1.0, 10_000, alpha, 10_000).high * 100


def chance(count: float, difference: float, deviation: float, weight: float, boundary: float) -> float:
    """The power of a two-sided test of two means with `count` rows, of which the share `weight` is the treatment's.

    With `d = difference / (deviation sqrt(1 / (count weight) + 1 / (count (1 - weight))))`: `Phi(d - b) + Phi(-d - b)` (the
    normal approximation; Chow, Shao, Wang & Lokhnygina 2017, Sample Size Calculations in Clinical Research, sec. 3.2).
    Of a sequence that is a lower bound: it may cross its boundary before the end too.
    """
    size = difference / (deviation * math.sqrt(1 / (count * weight) + 1 / (count * (1 - weight))))
    return float(ndtr(size - boundary) + ndtr(-boundary - size))


def units(difference: float, deviation: float, plan: ExperimentPlan, boundary: float) -> float:
    """How many rows, of both arms together, show `difference` with the power that is asked for."""
    return _solved(lambda count: chance(count, difference, deviation, plan.weight, boundary), plan.power)


def detectable(count: float, deviation: float, plan: ExperimentPlan) -> float:
    """The smallest difference that a sequence over `count` rows shows with the power that is asked for."""
    boundary = sequential_boundary(plan.alpha)
    return _solved(lambda difference: chance(count, difference, deviation, plan.weight, boundary), plan.power)


def explained(control: Sums) -> float:
    """The share of the variance that CUPED takes out of an arm like this one; 0 where nothing can be said."""
    found = effect(control, control, cuped=True)
    return found.explained if found else 0.0


def _solved(power: Callable[[float], float], wanted: float) -> float:
    """Where an increasing `power` reaches `wanted`."""
    low, high = 1e-9, 1.0
    while power(high) < wanted:
        low, high = high, high * 4
    while power(low) > wanted:
        low /= 4
    return float(brentq(lambda value: power(value) - wanted, low, high, xtol=1e-12, rtol=1e-12))
