"""The candidate's cost against the champion's by expected loss: for few rows, with a stated prior and risk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from everloop.decide.policy import GatePolicy
from everloop.decide.policy.expected_loss import ExpectedLoss
from everloop.decide.statistics.sufficiency import POWER, Sufficiency
from everloop.decide.verdict import Outcome

FEWEST, MOST = 1e-3, 1e6
"""Between which multiples of the rows that are there the wanted number is looked for."""


@dataclass(frozen=True)
class Posterior:
    """What is known of a normal difference, as a share of the champion's cost: below 0 the candidate is cheaper."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, difference: float, error: float, prior: float) -> Posterior:
        """From the measured difference with its standard error, and a prior around 0 with this standard deviation.

        Conjugate (Gelman et al. 2013, Bayesian Data Analysis, 3rd ed., sec. 2.5). An endless error leaves the prior.
        """
        weight = 1 / (1 + (error / prior) ** 2)
        return cls(weight * difference, prior * math.sqrt(1 - weight))

    @property
    def loss(self) -> float:
        """What promoting loses on average, `E max(0, difference)`: the normal loss (Raiffa & Schlaifer 1961, ch. 5)."""
        if not self.deviation:
            return max(0.0, self.mean)
        z = self.mean / self.deviation
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return self.deviation * density + self.mean * float(ndtr(z))

    @property
    def forgone(self) -> float:
        """What keeping the champion loses on average, `E max(0, -difference)`."""
        return Posterior(-self.mean, self.deviation).loss

    def worse_by(self, margin: float) -> float:
        """The probability that the candidate is worse by more than `margin`."""
        if not self.deviation:
            return float(self.mean > margin)
        return float(ndtr((self.mean - margin) / self.deviation))


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A decision by expected loss, with all that it was made of."""

    outcome: Outcome
    posterior: Posterior
    policy: ExpectedLoss
    margin: float

    def numbers(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {
            "prior": self.policy.prior,
            "posterior_mean": self.posterior.mean,
            "posterior_deviation": self.posterior.deviation,
            "expected_loss": self.posterior.loss,
            "forgone": self.posterior.forgone,
            "risk": self.policy.risk,
            "worse_than_margin": self.posterior.worse_by(self.margin),
            "harm": self.policy.harm,
            "margin": self.margin,
        }

    def __str__(self) -> str:
        found = self.posterior
        return (
            f"expected loss {found.loss:.2%} of the champion's cost, at most {self.policy.risk:.2%} wanted; worse by more than "
            f"{self.margin:.0%} with probability {found.worse_by(self.margin):.0%}, at most {self.policy.harm:.0%} wanted"
        )


def decide(difference: float, error: float, policy: GatePolicy, by: ExpectedLoss) -> Loss:
    """The decision on a relative difference of cost (candidate less champion, a share of the champion's) with its standard error.

    Where few blocks tell the error, it is that of the normal interval as wide as Student's, so that doubt about it counts.
    """
    found = Posterior.of(difference, error, by.prior)
    if _excess(found, policy, by) <= 0:
        outcome = Outcome.PASS
    elif found.worse_by(policy.cost_margin) >= 1 - by.harm or found.forgone <= by.risk:
        outcome = Outcome.FAIL
    else:
        outcome = Outcome.INCONCLUSIVE
    return Loss(outcome=outcome, posterior=found, policy=by, margin=policy.cost_margin)


def _excess(found: Posterior, policy: GatePolicy, by: ExpectedLoss) -> float:
    """Above 0 where a candidate is not let on."""
    return max(found.loss - by.risk, found.worse_by(policy.cost_margin) - by.harm)


def sufficient(rows: int, error: float, policy: GatePolicy, by: ExpectedLoss, per_week: float | None = None) -> Sufficiency:
    """What rows of this standard error let on: `shows` is the least improvement that is let on with probability `POWER`.

    `margin` is the prior's standard deviation, an improvement that is no rarity; `wanted` the rows that let it on as often.
    """
    unlucky = float(ndtri(POWER))

    def excess(improvement: float, scaled: float) -> float:
        """Above 0 where so large an improvement is not let on when it looks as much smaller as it does once in five times."""
        return _excess(Posterior.of(unlucky * scaled - improvement, scaled, by.prior), policy, by)

    def at(times: float) -> float:
        return excess(by.prior, error / math.sqrt(times))

    if math.isfinite(error):
        far = 40 * (error + error**2 / by.prior) + by.prior
        shows = float(brentq(excess, -far, far, args=(error,)))
        count = math.ceil(rows * float(brentq(at, FEWEST, MOST))) if at(FEWEST) > 0 > at(MOST) else rows
    else:
        shows, count = math.inf, None
    return Sufficiency(rows=rows, margin=by.prior, shows=shows, wanted=count, per_week=per_week)
