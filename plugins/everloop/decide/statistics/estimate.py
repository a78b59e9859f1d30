"""A measured number with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from scipy.special import ndtri, stdtrit


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number measured on `rows` rows, with its two-sided interval.

    `units`: how many independent units (entities, blocks of time) the rows came in, `None` where each row is one. `freedom`:
    degrees of freedom of the Student distribution that the interval's ends come from, `None` for the normal one.
    """

    value: float
    low: float
    high: float
    rows: int
    units: int | None = None
    freedom: float | None = None

    @classmethod
    def around(
        cls,
        value: float,
        variance: float,
        rows: int,
        confidence: float,
        *,
        units: int | None = None,
        freedom: float | None = None,
    ) -> Estimate:
        """The interval of an estimator with this variance, itself known with so many degrees of freedom (`None`: exactly)."""
        reach = quantile(confidence, freedom)
        half = reach * math.sqrt(variance) if math.isfinite(reach) else reach
        return cls(value=value, low=value - half, high=value + half, rows=rows, units=units, freedom=freedom)

    def at(self, confidence: float, *, made_at: float) -> Estimate:
        """The same estimate with the interval of another confidence than the one that it was `made_at`."""
        wider = quantile(confidence, self.freedom) / quantile(made_at, self.freedom)
        low, high = self.value - wider * (self.value - self.low), self.value + wider * (self.high - self.value)
        return replace(self, low=low, high=high)

    def __neg__(self) -> Estimate:
        return replace(self, value=-self.value, low=-self.high, high=-self.low)

    def less(self, start: float) -> Estimate:
        """How far it lies above `start`."""
        return replace(self, value=self.value - start, low=self.low - start, high=self.high - start)

    @property
    def on(self) -> str:
        """What it was measured on, in words."""
        if self.units is None:
            return f"{self.rows:,} rows"
        return f"{self.rows:,} rows of {self.units:,} {'block' if self.units == 1 else 'blocks'} of time"

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


def quantile(confidence: float, freedom: float | None = None) -> float:
    """How many standard errors a two-sided interval reaches: normal, or Student's with `freedom`; endless with none."""
    if freedom is None:
        return float(ndtri((1 + confidence) / 2))
    return float(stdtrit(freedom, (1 + confidence) / 2)) if freedom > 0 else math.inf
