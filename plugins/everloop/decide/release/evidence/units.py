"""Pairs of costs summed over what is independent, entities or blocks of time: how many independent rows the pairs are worth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

Codes = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

ROUNDING = 1e-12
"""Squared deviations below this share of the squared mean are what rounding leaves of rows that are all alike."""


@dataclass(frozen=True, kw_only=True)
class UnitCosts:
    """Of `units`, the sums of products of their rows n, their candidate's cost c and their baseline's b: nn, nc, nb, cc, cb, bb.

    `a + b` holds the units of both, which must not overlap.
    """

    units: int = 0
    products: tuple[float, ...] = (0.0,) * 6

    @classmethod
    def of(cls, units: Codes, candidate: Floats, baseline: Floats) -> UnitCosts:
        """From rows: the code (0 or more) of each row's unit and what it cost under both decisions, shape (rows,)."""
        n, c, b = (np.bincount(units, weights=each) for each in (None, candidate, baseline))
        products = tuple(float(x @ y) for x, y in ((n, n), (n, c), (n, b), (c, c), (c, b), (b, b)))
        return cls(units=int((n > 0).sum()), products=products)

    def __add__(self, other: UnitCosts) -> UnitCosts:
        summed = (a + b for a, b in zip(self.products, other.products, strict=True))
        return UnitCosts(units=self.units + other.units, products=tuple(summed))

    def scatter(self, mean: float, factor: float) -> float:
        """Sum over units of the square of what their `c - factor b` lies above `mean` a row."""
        nn, nc, nb, cc, cb, bb = self.products
        squares = mean**2 * nn + cc + factor**2 * bb
        return max(0.0, squares - 2 * mean * nc + 2 * mean * factor * nb - 2 * factor * cb)


def design_effect(
    entities: UnitCosts, blocks: UnitCosts, rows: int, scatter: float, mean: float, factor: float, alpha: float
) -> float:
    """How many times the variance of independent rows the mean of `c - factor b` has; at least 1, infinite where nobody knows.

    The larger of what entities and blocks of time show (Kish 1965, Survey Sampling, sec. 8.2: the ratio of both variances, here
    of sums over units with a degree of freedom less, to `scatter`, the rows' own squared deviations from `mean`). Few blocks tell
    their variance badly, so theirs is enlarged as Student's quantile at level `alpha` is beside the normal one (Cameron & Miller
    2015, sec. VI.D); blocks that differ in size are worth fewer, `(sum n)^2 / sum n^2` (Carter, Schnepel & Steigerwald 2017,
    Asymptotic behavior of a t-test robust to cluster heterogeneity, Rev. Economics and Statistics 99(4)), or a day and the first
    rows of the next would be two. Rows without units are independent. All rows in one block tell nothing of how blocks differ.
    """
    if blocks.units == 1:
        return math.inf
    if rows < 2 or scatter <= ROUNDING * rows * mean**2:
        return 1.0
    found = [_ratio(units, rows, scatter, mean, factor) for units in (entities, blocks)]
    return max(1.0, found[0], found[1] * _student(blocks, rows, alpha))


def _ratio(units: UnitCosts, rows: int, scatter: float, mean: float, factor: float) -> float:
    if units.units < 2:
        return 1.0
    return units.scatter(mean, factor) * units.units / (units.units - 1) / (scatter * rows / (rows - 1))


def _student(blocks: UnitCosts, rows: int, alpha: float) -> float:
    """The square of Student's quantile over that of the normal one."""
    if blocks.units < 2:
        return 1.0
    effective = rows**2 / blocks.products[0]
    return float(stdtrit(effective - 1, 1 - alpha) / ndtri(1 - alpha)) ** 2
