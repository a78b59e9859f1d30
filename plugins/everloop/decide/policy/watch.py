"""When the world counts as changed, and when to train again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from everloop.decide.policy.bounds import unit


@dataclass(frozen=True, kw_only=True)
class DriftPolicy:
    """When the world counts as changed. Every limit is an effect size, sampling taken off; `None`: measured, not judged.

    A column moves when one of these reaches its limit and lies beyond what windows of that length show within what the release
    learnt from (`decide.watch.ordinary`; a release made before that was kept is judged by the limit alone):
    `psi`: population stability index; 0.25 is the customary "significant shift" (Siddiqi 2006, Credit Risk Scorecards, ch. 9).
    `jensen_shannon`: distance, 0 to 1; for small shifts a function of the PSI (0.21 is 0.25), so by default only measured.
    `wasserstein`: in shares of the range between the outer deciles; 0.15 is a normal column that moves by half its standard
    deviation, Cohen's medium effect (1988, ch. 2), which is a PSI of 0.24 too; it sees mass that moves far.
    `missing_rate`, `unknown_rate`: the rise of the share of missing values and of those that the model does not know; 0.1, since
    from 1 % to 11 % is a PSI of 0.25.
    `outside_rate`: the rise of the share of numbers beyond the fences of those that were learnt; 0.1 like the two before. The
    other distances end where all rows lie in the last bin; this one tells July from the mildest week of a winter.

    `share`: share of the watched columns that must move, or the score itself, for a window to violate. `false_alarms`: at most
    so often an ordinary window does; 0.05 is Fisher's customary level (1925, Statistical Methods for Research Workers, sec. 12).
    `ignore`: columns that are measured and shown, and do not count. `label`: Cohen's h of the label rate; 0.2 is his small effect
    (1988, ch. 6), from 24 % to 33 %. `residual`: how far labels lie from the scores, in the large and by score, for the relation
    of inputs and label to count as changed; the default of `GatePolicy.ece_ceiling`, with which the release would not have been
    let on.
    `minimum_rows`: smaller windows are inconclusive.
    """

    psi: float = 0.25
    jensen_shannon: float | None = None
    wasserstein: float | None = 0.15
    missing_rate: float | None = 0.1
    unknown_rate: float | None = 0.1
    outside_rate: float | None = 0.1
    share: float = 0.3
    false_alarms: float = 0.05
    label: float | None = 0.2
    residual: float | None = 0.08
    minimum_rows: int = 200
    ignore: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        limits = ("psi", "jensen_shannon", "wasserstein", "missing_rate", "unknown_rate", "outside_rate", "label", "residual")
        found = {name: getattr(self, name) for name in limits}
        rare = [] if 0 < self.false_alarms < 1 else [f"DriftPolicy.false_alarms is {self.false_alarms}: it must lie in (0, 1)"]
        return (
            unit("DriftPolicy", "share", self.share)
            + rare
            + [
                f"DriftPolicy.{name} is {value}: a limit must be above 0, or None to measure only"
                for name, value in found.items()
                if value is not None and value <= 0
            ]
        )


@dataclass(frozen=True, kw_only=True)
class RetrainPolicy:
    """When to train again: `k` of the last `n` windows violate and the latest does; enough new labels; or time; with a cooldown.

    All in data time. `auc_drop`, `cost_rise`: how much worse than at release a window may be before it violates on performance.
    `on_estimate`: the performance that the calibrated scores expect (CBPE) counts too, in windows whose outcomes have not decided
    yet; off, because it is blind to a changed relation of features and label, and alarms when calibration alone has moved.
    `every`: train again when the champion has learnt through longer ago than this, and the last model was asked for as long ago;
    `None` for never. `cooldown`: how much data a champion is left alone for after what it has learnt.
    Where from: two of three is the second of the run rules of process control (Western Electric 1956, Statistical Quality Control
    Handbook, p. 25). `auc_drop`, `cost_rise`, `cooldown`: ours, to be set by the use case.
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
    Where from: 500 equal rows show a share above 99.4 % at 95 % (rule of three: Hanley & Lippman-Hand 1983, If nothing goes
    wrong, is everything all right?, JAMA 249(13)), so that `minimum_share`, ours, can be shown.
    Sums in another order differ by 1e-12.
    """

    sample: int = 500
    minimum_share: float = 0.99
    tolerance: float = 1e-9
