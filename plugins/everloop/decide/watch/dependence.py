"""How residuals `label - score` of one block of time move together, by score bin: a sketch that adds up, and what it tells.

A block's rows share what no input tells (a storm, a strike), and not to the same degree at every score. With n(b) the rows of a
block in bin b and s(b) the sum of their residuals, the sums over blocks of the products of all these are enough, whatever the
number of blocks: `v v'` with `v = (n, s)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide.statistics.clusters import Codes

Floats = npt.NDArray[np.float64]

SUMS = ("rows", "labels", "scores", "squares")
"""What every sketch holds by bin; `squares` are those of the residuals."""


def moments(units: Codes, places: Codes, residuals: Floats, size: int) -> dict[str, Any]:
    """Of rows (n,) with their block, score bin and residual: `blocks`, their number, and `moments`, (2 size, 2 size)."""
    found, block = np.unique(units, return_inverse=True)
    cell = block * size + places
    counts, sums = (np.bincount(cell, weights, len(found) * size).reshape(-1, size) for weights in (None, residuals))
    each = np.hstack([counts, sums])
    return {"blocks": len(found), "moments": (each.T @ each).tolist()}


@dataclass(frozen=True)
class Residual:
    """A sketch by bin (k,): rows, mean residual, and the variance of a residual, 1/4 where there are fewer than two."""

    rows: Floats
    mean: Floats
    variance: Floats

    @classmethod
    def of(cls, sketch: Mapping[str, Any]) -> Residual:
        """From `decide.watch.concept.residuals`."""
        rows, labels, scores, squares = (np.asarray(sketch[name], dtype=float) for name in SUMS)
        mean, enough = (labels - scores) / np.maximum(rows, 1), np.maximum(rows, 2)
        variance = np.maximum(0.0, squares - rows * mean**2) / (enough - 1)
        return cls(rows, mean, np.where(rows < 2, 0.25, variance))


@dataclass(frozen=True)
class Spread:
    """How the mean residuals of a sketch's bins vary: `alone` (k,), of independent rows; `shared` (k, k), what blocks add."""

    alone: Floats
    shared: Floats

    def variance(self, gradient: Floats) -> float:
        """Of a number with this gradient (k,) in the mean residuals."""
        return float(gradient**2 @ self.alone) + self.between(gradient)

    def between(self, gradient: Floats) -> float:
        """The part of it that blocks add, which is estimated, and no less than nothing."""
        return max(0.0, float(gradient @ self.shared @ gradient))

    @property
    def covariance(self) -> Floats:
        """Of the mean residuals (k, k), each of which varies by no less than alone."""
        found: Floats = self.shared.copy()
        np.fill_diagonal(found, self.alone + np.maximum(0.0, self.shared.diagonal()))
        return found


@dataclass(frozen=True)
class Dependence:
    """What blocks share: the covariance (k, k) of what a block adds to the residuals of its rows, by bin; how well it is known.

    It is estimated without bias, so it need not be a covariance itself, of which no number varies by less than nothing.
    `freedom`: blocks less one, over all sketches; `None` where none of them was made by block, so that rows count as independent.
    """

    shared: Floats
    freedom: int | None

    @classmethod
    def of(cls, sketches: Sequence[Mapping[str, Any]]) -> Dependence:
        """From all sketches together, each around its own means, weighted by its degrees of freedom as variances are pooled.

        The covariance of two bins is that of their sums over blocks, divided by what one of the shared parts adds to it (the
        analysis of variance of random effects: Searle, Casella & McCulloch 1992, Variance Components, sec. 3.6).
        """
        known = [sketch for sketch in sketches if "blocks" in sketch]
        size = len(sketches[0]["rows"])
        freedom = sum(sketch["blocks"] - 1 for sketch in known)
        if not known or not freedom:
            return cls(np.zeros((size, size)), freedom if known else None)
        told = [(sketch["blocks"] - 1) * _shared(sketch) for sketch in known if sketch["blocks"] > 1]
        return cls(np.sum(told, axis=0) / freedom, freedom)

    def spread(self, sketch: Mapping[str, Any]) -> Spread:
        """Of the mean residuals of a sketch, by what its rows vary by and what blocks of these sizes share."""
        found = Residual.of(sketch)
        rows = np.maximum(found.rows, 1)
        if "blocks" not in sketch:
            return Spread(found.variance / rows, np.zeros_like(self.shared))
        pairs = _split(sketch)[0] - np.diag(found.rows)
        return Spread(found.variance / rows, pairs * self.shared / np.outer(rows, rows))

    def between(self, sums: Floats) -> float:
        """What blocks add to the variance of a number with these gradients summed by block and bin (blocks, k)."""
        return max(0.0, float(np.einsum("kb,bc,kc->", sums, self.shared, sums)))


def _split(sketch: Mapping[str, Any]) -> tuple[Floats, Floats, Floats]:
    """Sums over blocks of `n n'`, `n s'` and `s s'`, each (k, k)."""
    found = np.asarray(sketch["moments"])
    size = len(found) // 2
    return found[:size, :size], found[:size, size:], found[size:, size:]


def _shared(sketch: Mapping[str, Any]) -> Floats:
    """The covariance of what each block adds, unbiased; 0 where no block has rows in both bins."""
    found = Residual.of(sketch)
    counts, crossed, sums = _split(sketch)
    around = sums - crossed.T * found.mean - (crossed.T * found.mean).T + counts * np.outer(found.mean, found.mean)
    blocks = sketch["blocks"]
    excess = around * blocks / (blocks - 1) - np.diag(found.rows * found.variance)
    pairs = counts - np.diag(found.rows)
    shared: Floats = np.divide(excess, pairs, out=np.zeros_like(excess), where=pairs > 0)
    return shared
