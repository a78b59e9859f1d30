"""The difference between two arms, with what a covariate explains taken out, and its always-valid interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from everloop.decide.experiment.sums import Sums
from everloop.decide.statistics.intervals import Range, mean_sequence


@dataclass(frozen=True, kw_only=True)
class Mean:
    """An arm's mean and the variance of that mean."""

    value: float
    variance: float


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Treatment against control: the difference of their means, and of the treatment's and so many times the control's.

    `theta`: how much of the covariate was taken out; `explained`: by which share that made the variance smaller.
    """

    control: Mean
    treatment: Mean
    rows: int
    theta: float
    explained: float

    @property
    def difference(self) -> float:
        """Treatment minus control, in the metric's unit."""
        return self.treatment.value - self.control.value

    @property
    def variance(self) -> float:
        """Of the difference."""
        return self.treatment.variance + self.control.variance

    def sequence(self, alpha: float, tightest_at: int, factor: float = 1.0) -> Range:
        """The confidence sequence of `treatment - factor * control`: it holds at every look, however many there are.

        The asymptotic one of Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), for the difference with its own variance; at
        `tightest_at` rows, of both arms together, it is narrowest. Rows are the clock, since entities that come back
        bring more of them; how much these are worth is in the variance. With a `factor` a relative margin needs no interval
        of a ratio (Fieller 1954).
        """
        variance = self.treatment.variance + factor**2 * self.control.variance
        centre = self.treatment.value - factor * self.control.value
        return mean_sequence(centre, variance * self.rows, self.rows, alpha, tightest_at)


def effect(control: Sums, treatment: Sums, *, cuped: bool) -> Effect | None:
    """The effect of the treatment; `None` below two entities or without a row in either arm.

    CUPED: each mean less `theta` times how far the arm's covariate lies from the covariate of both, `theta = cov(Y, X) / var(X)`
    over both arms (Deng, Xu, Kohavi & Walker 2013, Improving the Sensitivity of Online Controlled Experiments by Utilizing
    Pre-Experiment Data, eq. 4; here of ratios). No covariate, or one that never varies, changes nothing.
    """
    if min(control.entities, treatment.entities) < 2 or not (control.rows and treatment.rows):
        return None
    both = control + treatment
    known = not any(math.isnan(arm.covariate) for arm in (control, treatment))
    theta = _theta(both) if cuped and known else 0.0
    old, new = (_adjusted(arm, theta, both.covariate) for arm in (control, treatment))
    plain = sum(arm.spread.metric / arm.entities for arm in (control, treatment))
    return Effect(
        control=old,
        treatment=new,
        rows=both.rows,
        theta=theta,
        explained=1 - (old.variance + new.variance) / plain if plain else 0.0,
    )


def _theta(both: Sums) -> float:
    spread = both.spread
    return spread.shared / spread.covariate if spread.covariate else 0.0


def _adjusted(arm: Sums, theta: float, covariate: float) -> Mean:
    spread = arm.spread
    variance = spread.metric + theta**2 * spread.covariate - 2 * theta * spread.shared
    shift = theta * (arm.covariate - covariate) if theta else 0.0
    return Mean(value=arm.mean - shift, variance=max(0.0, variance) / arm.entities)
