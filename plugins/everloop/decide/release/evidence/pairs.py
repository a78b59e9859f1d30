"""Both releases on the same rows: their scores, what their decisions cost, and what they can be expected to cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

SCORE_EDGES = np.linspace(0, 1, 21)[1:-1]
"""Inner cut points of twenty equal score bins."""


@dataclass(frozen=True, kw_only=True)
class ScorePairs:
    """Scores of both releases on the same rows, counted by `SCORE_EDGES`.

    `offered`: rows that the release on trial had to score in the shadow of a good answer; `unscored`: those it could not.
    """

    candidate: tuple[int, ...] = (0,) * (len(SCORE_EDGES) + 1)
    baseline: tuple[int, ...] = (0,) * (len(SCORE_EDGES) + 1)
    offered: int = 0
    unscored: int = 0

    def __add__(self, other: ScorePairs) -> ScorePairs:
        return ScorePairs(
            candidate=tuple(a + b for a, b in zip(self.candidate, other.candidate, strict=True)),
            baseline=tuple(a + b for a, b in zip(self.baseline, other.baseline, strict=True)),
            offered=self.offered + other.offered,
            unscored=self.unscored + other.unscored,
        )

    @property
    def count(self) -> int:
        """Rows that both releases scored."""
        return sum(self.candidate)

    @classmethod
    def of(cls, candidate: Floats, baseline: Floats, *, offered: int = 0, unscored: int = 0) -> ScorePairs:
        """From the scores of both releases on the same rows, shape (n,) each."""
        return cls(candidate=_binned(candidate), baseline=_binned(baseline), offered=offered, unscored=unscored)


@dataclass(frozen=True, kw_only=True)
class PairedCosts:
    """How often each pair of costs, `(candidate's, baseline's, rows)`, occurred on labelled rows; `largest`: the highest cost.

    A cost matrix knows few costs, so these counts say all that the rows say.
    """

    cells: tuple[tuple[float, float, int], ...] = ()
    largest: float = 1.0

    def __add__(self, other: PairedCosts) -> PairedCosts:
        rows: dict[tuple[float, float], int] = {}
        for candidate, baseline, count in (*self.cells, *other.cells):
            rows[candidate, baseline] = rows.get((candidate, baseline), 0) + count
        cells = tuple((candidate, baseline, count) for (candidate, baseline), count in sorted(rows.items()))
        return PairedCosts(cells=cells, largest=max(self.largest, other.largest))

    @classmethod
    def of(cls, candidate: Floats, baseline: Floats, largest: float | None = None) -> PairedCosts:
        """From the cost of each row under both decisions, shape (n,) each; `largest` is by default the largest of them."""
        both, counts = np.unique(np.column_stack([candidate, baseline]), axis=0, return_counts=True)
        cells = tuple((new, old, int(count)) for new, old, count in np.column_stack([both, counts]).tolist())
        return cls(cells=cells, largest=float(both.max(initial=0.0)) if largest is None else largest)

    @property
    def count(self) -> int:
        """Labelled rows that both releases scored."""
        return sum(count for _, _, count in self.cells)

    @property
    def candidate(self) -> float:
        """The candidate's cost per row; NaN without rows."""
        return sum(cost * count for cost, _, count in self.cells) / self.count if self.count else math.nan

    @property
    def baseline(self) -> float:
        """The baseline's cost per row; NaN without rows."""
        return sum(cost * count for _, cost, count in self.cells) / self.count if self.count else math.nan

    def excess(self, factor: float) -> tuple[Floats, Floats]:
        """The values of "candidate's cost less `factor` times the baseline's", and how many rows have each: shape (cells,)."""
        cells = np.array(self.cells, dtype=float).reshape(len(self.cells), 3)
        return cells[:, 0] - factor * cells[:, 1], cells[:, 2]


@dataclass(frozen=True, kw_only=True)
class ExpectedCosts:
    """Moments of what both releases' decisions can be expected to cost on the same rows before any label is known.

    A row is taken to be positive with the mean of both calibrated scores (the linear opinion pool: Stone 1961, The opinion
    pool): by its own score alone each release's decision would always look like the better one.
    """

    count: int = 0
    candidate: float = 0.0
    baseline: float = 0.0
    candidate_variance: float = 0.0
    baseline_variance: float = 0.0
    covariance: float = 0.0

    def __add__(self, other: ExpectedCosts) -> ExpectedCosts:
        """Of both sets of rows (Chan, Golub & LeVeque 1983, Algorithms for computing the sample variance, eq. 2.1)."""
        n = self.count + other.count
        if not self.count or not other.count:
            return other if other.count else self
        share, apart = other.count / n, (other.candidate - self.candidate, other.baseline - self.baseline)

        def merged(ours: float, theirs: float, a: float, b: float) -> float:
            between = a * b * self.count * share
            return (ours * (self.count - 1) + theirs * (other.count - 1) + between) / (n - 1)

        return ExpectedCosts(
            count=n,
            candidate=self.candidate + apart[0] * share,
            baseline=self.baseline + apart[1] * share,
            candidate_variance=merged(self.candidate_variance, other.candidate_variance, apart[0], apart[0]),
            baseline_variance=merged(self.baseline_variance, other.baseline_variance, apart[1], apart[1]),
            covariance=merged(self.covariance, other.covariance, apart[0], apart[1]),
        )

    @classmethod
    def of(cls, candidate: Floats, baseline: Floats) -> ExpectedCosts:
        """From the expected cost of each row under both decisions, shape (n,) each."""
        if not len(candidate):
            return cls()
        means = cls(count=len(candidate), candidate=float(candidate.mean()), baseline=float(baseline.mean()))
        if len(candidate) == 1:
            return means
        moments = np.cov(candidate, baseline)
        return replace(
            means,
            candidate_variance=float(moments[0, 0]),
            baseline_variance=float(moments[1, 1]),
            covariance=float(moments[0, 1]),
        )

    def excess(self, factor: float) -> tuple[float, float]:
        """Mean and variance of a row's "candidate's cost less `factor` times the baseline's"."""
        variance = self.candidate_variance + factor**2 * self.baseline_variance - 2 * factor * self.covariance
        return self.candidate - factor * self.baseline, max(0.0, variance)


def _binned(scores: Floats) -> tuple[int, ...]:
    return tuple(np.bincount(np.searchsorted(SCORE_EDGES, scores), minlength=len(SCORE_EDGES) + 1).tolist())
