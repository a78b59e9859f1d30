"""What is kept of an arm's rows: sums over entities, which merge by addition and are enough for every comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ROWS, METRIC, COVARIATE, COVERED = range(4)
"""What is summed of an entity: its rows with a metric, their metric, the covariate, and its rows with a covariate."""


class Spread(NamedTuple):
    """Variances of one entity's part in an arm's means: of the metric, of the covariate, and what they share."""

    metric: float
    covariate: float
    shared: float


@dataclass(frozen=True, eq=False)
class Sums:
    """Of `entities`, the sums (4,) and the sums of products (4, 4) of what `ROWS` to `COVERED` name.

    Entities are what is assigned, so they are the independent units; their rows are not. A mean over rows is thus a ratio of two
    sums over entities, with the delta method's variance (Deng, Knoblich & Lu 2018, Applying the Delta Method in Metric
    Analytics, section on randomization and analysis units). `a + b` holds the entities of both, which must not overlap.
    """

    entities: int = 0
    sums: Floats = field(default_factory=lambda: np.zeros(4))
    products: Floats = field(default_factory=lambda: np.zeros((4, 4)))

    @classmethod
    def of(cls, values: Floats) -> Sums:
        """From what each entity adds up to, shape (entities, 4)."""
        return cls(len(values), values.sum(axis=0), values.T @ values)

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.entities + other.entities, self.sums + other.sums, self.products + other.products)

    @property
    def rows(self) -> int:
        """Rows with a metric."""
        return int(self.sums[ROWS])

    @property
    def mean(self) -> float:
        """The metric's mean over rows; NaN without a row."""
        return float(self.sums[METRIC] / self.sums[ROWS]) if self.sums[ROWS] else math.nan

    @property
    def covariate(self) -> float:
        """The covariate's mean over the rows that have one; NaN without any."""
        return float(self.sums[COVARIATE] / self.sums[COVERED]) if self.sums[COVERED] else math.nan

    @property
    def spread(self) -> Spread:
        """The variances of one entity's linearised part, with a degree of freedom less; those of an absent covariate are 0.

        Needs two entities and a row.
        """
        metric = np.array([-self.mean, 1.0, 0.0, 0.0]) * self.entities / self.sums[ROWS]
        covariate = np.zeros(4)
        if self.sums[COVERED]:
            covariate = np.array([0.0, 0.0, 1.0, -self.covariate]) * self.entities / self.sums[COVERED]
        centred = (self.products - np.outer(self.sums, self.sums) / self.entities) / (self.entities - 1)
        # Rounding may leave a variance of nought a hair below it.
        return Spread(
            metric=max(0.0, float(metric @ centred @ metric)),
            covariate=max(0.0, float(covariate @ centred @ covariate)),
            shared=float(metric @ centred @ covariate),
        )
