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
    """When to train again: `k` of the last `n` windows violate and the latest does; enough new labels; or time; with a cooldown.

    All in data time. `auc_drop`, `cost_rise`: how much worse than at release a window may be before it violates on performance.
    `on_estimate`: the performance that the calibrated scores expect (CBPE) counts too, in windows whose outcomes have not decided
    yet; off, because it is blind to a changed relation of features and label, and alarms when calibration alone has moved.
    `every`: train again when the champion has learnt through longer ago than this; `None` for never. `cooldown`: how much data
    a champion is left alone for after what it has learnt.
    """

    k: int = 2
    n: int = 3
    auc_drop: float = 0.04
    cost_rise: float = 0.25
    on_estimate: bool = False
    new_labels: int | None = None
    every: timedelta | None = None
    cooldown: timedelta = timedelta(days=28)

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        found = []
        if not 1 <= self.k <= self.n:
            found.append(f"RetrainPolicy: k={self.k} of n={self.n}: 1 <= k <= n must hold")
        if self.new_labels is not None and self.new_labels < 1:
            found.append(f"RetrainPolicy.new_labels is {self.new_labels}: it must be 1 or more, or None for never")
        if self.every is not None and self.every < max(self.cooldown, timedelta(days=1)):
            found.append(
                f"RetrainPolicy.every is {self.every}: it must be a day or more and not below cooldown ({self.cooldown}), "
                "which would hold it back"
            )
        return found


@dataclass(frozen=True, kw_only=True)
class ParityPolicy:
    """Served features against the point-in-time join.

    `sample`: rows replayed of each release and interval. `minimum_share`: the smallest share of them that must be equal in
    every feature, and that must have been served with the online store at hand. `tolerance`: of numbers, relative above 1.
    """

    sample: int = 500
    minimum_share: float = 0.99
    tolerance: float = 1e-9
