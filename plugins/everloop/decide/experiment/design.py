"""How many requests, labels and days an experiment needs, and what a given traffic can show."""

from __future__ import annotations

import math
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

CERTAIN = 9.0
"""So many standard errors beyond the boundary a difference is shown with a power that rounds to 1; any asked for is less."""


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
        if plan.metric.rate and mean + difference <= 1:
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
    """The same for any number of looks, at the planned end, where `mean_sequence` is tightest; elsewhere it is more.

    It is the same whatever the planned number of rows; of two rows with a variance of 2 the standard error is 1.
    """
    return mean_sequence(0.0, 2.0, 2, alpha, 2).high


def chance(errors: float, boundary: float) -> float:
    """The power of a two-sided test of a difference that is so many standard `errors` large: `Phi(d - b) + Phi(-d - b)`.

    The normal approximation (Chow, Shao, Wang & Lokhnygina 2017, Sample Size Calculations in Clinical Research, sec. 3.2).
    Of a sequence that is a lower bound: it may cross its boundary before the end too.
    """
    return float(ndtr(errors - boundary) + ndtr(-boundary - errors))


def units(difference: float, deviation: float, plan: ExperimentPlan, boundary: float) -> float:
    """How many rows, of both arms together, show `difference` with the power that is asked for."""
    return _variance(deviation, plan) * (_errors(plan.power, boundary) / difference) ** 2


def detectable(count: float, deviation: float, plan: ExperimentPlan) -> float:
    """The smallest difference that a sequence over `count` rows shows with the power that is asked for."""
    return _errors(plan.power, sequential_boundary(plan.alpha)) * math.sqrt(_variance(deviation, plan) / count)


def explained(control: Sums) -> float:
    """The share of the variance that CUPED takes out of an arm like this one; 0 where nothing can be said."""
    found = effect(control, control, cuped=True)
    return found.explained if found else 0.0


def _variance(deviation: float, plan: ExperimentPlan) -> float:
    """That of the difference of both means, times the rows of both arms, of which `weight` are the treatment's."""
    return deviation**2 / (plan.weight * (1 - plan.weight))


def _errors(power: float, boundary: float) -> float:
    """How many standard errors large a difference must be to be shown with `power`, which is above that of no difference."""
    return float(brentq(lambda errors: chance(errors, boundary) - power, 0.0, boundary + CERTAIN))
