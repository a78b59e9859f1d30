"""Rows that are not independent: variances and effective counts of rows that come in units, entities or blocks of time.

A unit is what is independent: an entity where arms are drawn by entity, a block of time where rows move together (a storm's day).
Everything here is computed from sums over units, so a unit's rows may come in any order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from everloop.decide.statistics.estimate import Estimate, quantile
from everloop.decide.statistics.intervals import Range, wilson

Codes = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

DAY = timedelta(days=1)
"""The block of time that rows are taken to move together in, unless the use case says otherwise: weather, strikes, pay-days."""


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Sums over units of their `trials` n and `hits` x: enough for a rate and for how much its rows move together.

    `a + b` holds the units of both, which must not overlap.
    """

    units: int = 0
    trials: float = 0.0
    hits: float = 0.0
    trials_squared: float = 0.0
    hits_squared: float = 0.0
    product: float = 0.0

    @classmethod
    def of(cls, trials: npt.ArrayLike, hits: npt.ArrayLike) -> Clusters:
        """From each unit's trials and hits, shape (units,)."""
        n, x = np.asarray(trials, dtype=float), np.asarray(hits, dtype=float)
        return cls(
            units=len(n), trials=float(n.sum()), hits=float(x.sum()), trials_squared=float(n @ n),
            hits_squared=float(x @ x), product=float(n @ x),
        )  # fmt: skip

    @classmethod
    def independent(cls, trials: int, hits: int) -> Clusters:
        """Rows that are each a unit."""
        return cls(units=trials, trials=trials, hits=hits, trials_squared=trials, hits_squared=hits, product=hits)

    @classmethod
    def counted(cls, units: Codes, hits: npt.NDArray[np.bool_] | Floats) -> Clusters:
        """From rows: the code (0 or more) of each row's unit and whether, or how far (0 to 1), it is a hit, shape (rows,)."""
        trials = np.bincount(units)
        there = trials > 0
        return cls.of(trials[there], np.bincount(units, weights=hits)[there])

    def __add__(self, other: Clusters) -> Clusters:
        return Clusters(
            units=self.units + other.units,
            trials=self.trials + other.trials,
            hits=self.hits + other.hits,
            trials_squared=self.trials_squared + other.trials_squared,
            hits_squared=self.hits_squared + other.hits_squared,
            product=self.product + other.product,
        )

    @property
    def rate(self) -> float:
        """Hits a trial; 0 without trials."""
        return self.hits / self.trials if self.trials else 0.0

    @property
    def scatter(self) -> float:
        """Sum over units of `(x - rate n)^2`."""
        return max(0.0, self.hits_squared - 2 * self.rate * self.product + self.rate**2 * self.trials_squared)

    def design_effect(self, correlation: float) -> float:
        """How many times the variance of independent rows the rate has: `1 + (sum n^2 / sum n - 1) correlation`, at least 1.

        Kish (1965), Survey Sampling, sec. 5.4, with the mean size that a row sees, since units differ in size.
        """
        return max(1.0, 1 + (self.trials_squared / self.trials - 1) * correlation) if self.trials else 1.0

    def effective(self, correlation: float) -> tuple[float, float]:
        """`(hits, trials)` divided by the design effect: as many independent rows as these are worth.

        Rao & Scott (1992), A simple method for the analysis of clustered binary data, Biometrics 48(2): methods for independent
        rows then hold.
        """
        effect = self.design_effect(correlation)
        return self.hits / effect, self.trials / effect


def correlation(arms: Sequence[Clusters], unknown: float = 0.0) -> float:
    """How alike two rows of one unit are (intraclass correlation, 0 to 1), each arm around its own rate.

    The moment estimator that `E (x - p n)^2 = n p (1 - p) (1 + (n - 1) correlation)` gives, summed over all units (Ridout,
    Demétrio & Firth 1999, Estimating intraclass correlation for binary data, Biometrics 55(1), their weighted moment estimators),
    with a degree of freedom less for each arm's rate. An arm of one unit tells nothing of it, nor do rows that are all alike:
    `unknown` where there is nothing else, or where no unit has two rows.
    """
    excess = pairs = 0.0
    for arm in (one for one in arms if one.units > 1):
        alone = arm.rate * (1 - arm.rate)
        excess += arm.scatter * arm.units / (arm.units - 1) - alone * arm.trials
        pairs += alone * (arm.trials_squared - arm.trials)
    return min(1.0, max(0.0, excess / pairs)) if pairs > 0 else unknown


def cautious_effects(arms: Sequence[Clusters]) -> list[float]:
    """Each arm's design effect, where units that tell nothing of how units differ are worth one row each.

    So is the only unit of an arm, and all units where no rate lies between 0 and 1: a verdict must not rest on one entity that
    asked twenty times.
    """
    alike = correlation(arms, unknown=1.0)
    return [arm.design_effect(alike if arm.units > 1 else 1.0) for arm in arms]


@dataclass(frozen=True)
class Likeness:
    """How alike two rows of a unit are in what they add to a number's error (intraclass correlation), and how well that is known.

    `a + b` is what two sets of units tell together, each by its degrees of freedom, as variances are pooled: so that a window of
    few units, or of one, can be judged by what the units of others have shown.
    """

    correlation: float = 0.0
    freedom: int = 0

    def __add__(self, other: Likeness) -> Likeness:
        freedom = self.freedom + other.freedom
        if not freedom:
            return Likeness()
        return Likeness((self.correlation * self.freedom + other.correlation * other.freedom) / freedom, freedom)

    @classmethod
    def of(cls, influence: Floats, units: Codes) -> Likeness:
        """From what each row adds to the error (rows,), and its unit: how much more sums over units vary than rows alone do."""
        sums, alone, excess = _sums(influence, units), _alone(influence), _excess(units)
        if len(sums) < 2 or alone <= 0 or excess <= 0:
            return cls(0.0, max(0, len(sums) - 1))
        apart = float(((sums - sums.mean()) ** 2).sum()) * len(sums) / (len(sums) - 1)
        return cls(max(0.0, apart / alone - 1) / excess, len(sums) - 1)

    @classmethod
    def of_rate(cls, found: Clusters) -> Likeness:
        """Of what each row adds to a rate's error."""
        return cls(correlation([found]), max(0, found.units - 1))


NOTHING_KNOWN = Likeness()


def clustered(value: float, influence: Floats, units: Codes, confidence: float, known: Likeness = NOTHING_KNOWN) -> Estimate:
    """The interval of an estimator whose error is the sum of its rows' `influence` (rows,), which need not be independent.

    The variance is that of sums over units, with a degree of freedom less (Liang & Zeger 1986, Longitudinal data analysis using
    generalized linear models, Biometrika 73(1), their robust variance; for AUC it is Obuchowski 1997, Nonparametric analysis of
    clustered ROC curve data, Biometrics 53(2)), never below that of independent rows; the quantile is Student's with that many
    degrees of freedom (Cameron & Miller 2015, A practitioner's guide to cluster-robust inference, J. Human Resources 50(2), sec.
    VI.D). With `known`, the likeness that other units have shown, it is the variance of independent rows times the design effect
    of both likenesses together. The interval has no end below two units where nothing is known, nor below two rows.
    """
    together = Likeness.of(influence, units) + known
    variance = _alone(influence) * (1 + _excess(units) * together.correlation)
    return Estimate.around(
        value, variance, len(influence), confidence, units=len(_sizes(units)), freedom=together.freedom
    )  # fmt: skip


def clustered_rate(found: Clusters, confidence: float, known: Likeness = NOTHING_KNOWN) -> Range:
    """A rate's interval for one look: Wilson's of as many independent rows as these are worth. [0, 1] where nothing is known.

    Effective counts by Rao & Scott, scaled by the squared ratio of the normal quantile to Student's, since the design effect is
    itself estimated (Korn & Graubard 1998, Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data, Survey Methodology 24(2)).
    """
    together = Likeness.of_rate(found) + known
    if not together.freedom:
        return Range(0.0, 1.0)
    hits, trials = found.effective(together.correlation)
    worth = (quantile(confidence) / quantile(confidence, together.freedom)) ** 2
    return wilson(hits * worth, trials * worth, confidence)


def blocks(moments: npt.NDArray[np.datetime64], width: timedelta = DAY) -> Codes:
    """The block of time of each moment (rows,), numbered from 0 in order; blocks begin at multiples of `width` of UTC."""
    since = moments.astype("datetime64[us]").astype(np.int64) // int(width / timedelta(microseconds=1))
    codes: Codes = np.unique(since, return_inverse=True)[1].astype(np.intp)
    return codes


def _sums(influence: Floats, units: Codes) -> Floats:
    """What each unit's rows add up to."""
    sums: Floats = np.bincount(units, weights=influence).astype(float)
    return sums[np.bincount(units) > 0]


def _sizes(units: Codes) -> Codes:
    """How many rows each unit has."""
    sizes: Codes = np.bincount(units)
    return sizes[sizes > 0]


def _alone(influence: Floats) -> float:
    """The variance of the sum of independent rows, which one row does not tell."""
    rows = len(influence)
    return float(((influence - influence.mean()) ** 2).sum()) * rows / (rows - 1) if rows > 1 else math.inf


def _excess(units: Codes) -> float:
    """How many other rows of its unit a row sees, on average."""
    sizes = _sizes(units)
    return float(sizes @ sizes / sizes.sum()) - 1 if len(sizes) else 0.0
