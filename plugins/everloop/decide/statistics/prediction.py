"""How far one more value may lie, told from values like it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True, kw_only=True)
class Sample:
    """`count` values by their mean and standard deviation (count - 1 in its denominator)."""

    mean: float
    deviation: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Sample:
        """Of values, of which there is one at least."""
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        return cls(mean=float(np.mean(values)), deviation=deviation, count=len(values))

    def upper(self, level: float) -> float:
        """The upper prediction limit: what one more value of a normal population exceeds with probability `level`.

        `mean + t s sqrt(1 + 1/n)` with Student's quantile of n - 1 degrees of freedom (Hahn & Meeker 1991, Statistical Intervals,
        sec. 4.7, one-sided, one future observation). Of one value nothing can be said: infinite.
        """
        if self.count < 2:
            return math.inf
        return self.mean + float(stdtrit(self.count - 1, 1 - level)) * self.deviation * math.sqrt(1 + 1 / self.count)
