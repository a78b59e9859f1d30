"""Both releases on the same rows: what they decide, what that costs, and what it can be expected to cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.decide.release.evidence.units import UnitCosts, design_effect
from everloop.decide.statistics.clusters import Clusters

if TYPE_CHECKING:
    import numpy.typing as npt

    Codes = npt.NDArray[np.intp]
    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class DecisionPairs:
    """Rows that both releases scored, by entity, and those among them that they decide differently.

    `disordered`: pairs of these rows that the other release orders, and those that the one on trial orders the other way round
    (`statistics.concordance`).
    `offered`: rows that the release on trial had to score in the shadow of a good answer, and those among them that it could not.
    """

    different: Clusters = field(default_factory=Clusters)
    disordered: Clusters = field(default_factory=Clusters)
    unscored: Clusters = field(default_factory=Clusters)

    def __add__(self, other: DecisionPairs) -> DecisionPairs:
        return DecisionPairs(
            different=self.different + other.different,
            disordered=self.disordered + other.disordered,
            unscored=self.unscored + other.unscored,
        )

    @property
    def count(self) -> int:
        """Rows that both releases scored."""
        return int(self.different.trials)

    @property
    def offered(self) -> int:
        """Rows that the release on trial had to score in the shadow."""
        return int(self.unscored.trials)


@dataclass(frozen=True, kw_only=True)
class PairedCosts:
    """How often each pair of costs, `(candidate's, baseline's, rows)`, occurred on labelled rows; `largest`: the highest cost.

    A cost matrix knows few costs, so these counts say all that the rows say, but for how rows move together: that is in what
    `entities` and `blocks` of time add up to. Without these rows are taken to be independent.
    """

    cells: tuple[tuple[float, float, int], ...] = ()
    largest: float = 1.0
    entities: UnitCosts = field(default_factory=UnitCosts)
    blocks: UnitCosts = field(default_factory=UnitCosts)

    def __add__(self, other: PairedCosts) -> PairedCosts:
        rows: dict[tuple[float, float], int] = {}
        for candidate, baseline, count in (*self.cells, *other.cells):
            rows[candidate, baseline] = rows.get((candidate, baseline), 0) + count
        cells = tuple((candidate, baseline, count) for (candidate, baseline), count in sorted(rows.items()))
        units = {"entities": self.entities + other.entities, "blocks": self.blocks + other.blocks}
        return PairedCosts(cells=cells, largest=max(self.largest, other.largest), **units)

    @classmethod
    def of(
        cls,
        candidate: Floats,
        baseline: Floats,
        largest: float | None = None,
        *,
        entities: Codes | None = None,
        blocks: Codes | None = None,
    ) -> PairedCosts:
        """From the cost of each row under both decisions, and the code of its entity and block of time, shape (n,) each.

        `largest` is by default the largest of the costs.
        """
        (new, ours), (old, theirs) = (np.unique(each, return_inverse=True) for each in (candidate, baseline))
        counts = np.bincount(ours * len(old) + theirs, minlength=len(new) * len(old)).reshape(len(new), len(old))
        cells = tuple((float(new[i]), float(old[j]), int(counts[i, j])) for i, j in np.argwhere(counts))
        most = float(max(new.max(initial=0.0), old.max(initial=0.0))) if largest is None else largest
        return cls(cells=cells, largest=most, **_by_unit(candidate, baseline, entities, blocks))

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

    def design_effect(self, factor: float, alpha: float) -> float:
        """How many times the variance of independent rows the mean of `excess` has (`units.design_effect`)."""
        values, counts = self.excess(factor)
        mean = float(values @ counts) / max(1, self.count)
        return design_effect(
            self.entities, self.blocks, self.count, float((values - mean) ** 2 @ counts), mean, factor, alpha
        )  # fmt: skip


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
    entities: UnitCosts = field(default_factory=UnitCosts)
    blocks: UnitCosts = field(default_factory=UnitCosts)

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
            entities=self.entities + other.entities,
            blocks=self.blocks + other.blocks,
        )

    @classmethod
    def of(
        cls, candidate: Floats, baseline: Floats, *, entities: Codes | None = None, blocks: Codes | None = None
    ) -> ExpectedCosts:
        """From the expected cost of each row under both decisions, and the code of its entity and block of time, shape (n,)
        each.
        """
        if not len(candidate):
            return cls()
        means = cls(
            count=len(candidate),
            candidate=float(candidate.mean()),
            baseline=float(baseline.mean()),
            **_by_unit(candidate, baseline, entities, blocks),
        )
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

    def design_effect(self, factor: float, alpha: float) -> float:
        """How many times the variance of independent rows the mean of `excess` has (`units.design_effect`)."""
        mean, variance = self.excess(factor)
        scatter = variance * (self.count - 1)
        return design_effect(self.entities, self.blocks, self.count, scatter, mean, factor, alpha)


def _by_unit(candidate: Floats, baseline: Floats, entities: Codes | None, blocks: Codes | None) -> dict[str, Any]:
    given = {"entities": entities, "blocks": blocks}
    return {name: UnitCosts.of(units, candidate, baseline) for name, units in given.items() if units is not None}
