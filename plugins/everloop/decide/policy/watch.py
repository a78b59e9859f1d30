"""When the world counts as changed, and when to train again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class DriftPolicy:
    """When the world counts as changed.

    `psi`: population stability index from which a column drifts; 0.25 is the customary "significant shift" (Siddiqi 2006,
    Credit Risk Scorecards, ch. 9). `share`: share of the watched columns that must drift, or the score itself, for
    a window to violate. `minimum_rows`: smaller windows are inconclusive. `ignore`: columns that follow the season.
    """

    psi: float = 0.25
    share: float = 0.3
    minimum_rows: int = 200
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RetrainPolicy:
    """When to train again: `k` of the last `n` windows violate and the latest does; or enough new labels; with a cooldown.

    `auc_drop`, `cost_rise`: how much worse than at release a window may be before it violates on performance.
    """

    k: int = 2
    n: int = 3
    auc_drop: float = 0.04
    cost_rise: float = 0.25
    new_labels: int | None = None
    cooldown: timedelta = timedelta(days=28)

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        return [] if 1 <= self.k <= self.n else [f"RetrainPolicy: k={self.k} of n={self.n}: 1 <= k <= n must hold"]


@dataclass(frozen=True, kw_only=True)
class ParityPolicy:
    """Served features against the point-in-time join.

    `sample`: rows replayed of each release and interval. `minimum_share`: the smallest share of them that must be equal in
    every feature, and that must have been served with the online store at hand. `tolerance`: of numbers, relative above 1.
    """

    sample: int = 500
    minimum_share: float = 0.99
    tolerance: float = 1e-9
