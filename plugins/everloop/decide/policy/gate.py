"""What a candidate must show before it may meet traffic."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from everloop.decide.policy.behaviour import BehaviourPolicy
from everloop.decide.policy.bounds import unit
from everloop.decide.policy.expected_loss import ExpectedLoss


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """What a candidate must show before it may meet traffic.

    `confidence`: two-sided level of every interval. `auc_floor`, `ece_ceiling`: absolute limits, with the behaviour the only ones
    for a first release; the whole interval must keep them. `cost_margin` (a share of the champion's cost per row), `auc_margin`:
    non-inferiority margins against the champion (the candidate may be worse by this much, and no more, at the given confidence).
    `slice_margin`, also a share of the champion's cost: no slice with at least `slice_minimum` rows may be shown to be worse by
    more, all slices being judged together.
    `cost_margin` is that of the rollout; two alike models of the flights (of another seed) differ by 0 +- 2.4 % on four held-out
    weeks and +- 2.0 % on six, so on less it asks for an improvement.
    `block`: how long rows move together (a storm, a strike, a pay-day): blocks of this length, from midnight UTC, are what every
    interval of the gate and of the monitor counts as independent. Longer ones are safer and need more weeks; shorter than the
    dependence, intervals are too narrow; below the time between two rows, each row counts by itself.
    Where from: `confidence` is the customary 95 %. `block`: weather and traffic follow the day; where the residuals of days
    follow each other, make it as long as that lasts (Künsch 1989, The jackknife and the bootstrap for general stationary
    observations, Annals of Statistics 17(3)). `minimum_rows`: 1,000 rows, a quarter of them positive, tell an AUC of 0.75 to
    +- 0.04 (Hanley & McNeil 1982, eq. 1). `auc_floor`: ours, half-way from nothing (0.5) to "acceptable" (0.7: Hosmer, Lemeshow &
    Sturdivant 2013, Applied Logistic Regression, sec. 5.2.4). `ece_ceiling`, `auc_margin`, `slice_margin`, `slice_minimum`,
    `size_mb`: ours, to be set by the use case.
    `decide_by`: for use cases with few labels, by what expected loss a candidate is compared instead of by intervals; then its
    `minimum_rows` stands for the one here.
    `size_mb`: the model file's budget. Latency is judged in the real scorer (`RolloutPolicy.check_latency_ms`), here where it
    can be reached, at the latest by the rollout; with `require_scorer` the gate is inconclusive without an answer of it.
    `auc_ceiling`: an AUC shown to lie above it, the candidate's or one input's alone, is taken for a leak of the label; `None`
    for no such suspicion (ours: lower it where you know how well the best can foresee).
    """

    confidence: float = 0.95
    block: timedelta = timedelta(days=1)
    minimum_rows: int = 1_000
    auc_floor: float = 0.60
    auc_ceiling: float | None = 0.99
    ece_ceiling: float = 0.08
    cost_margin: float = 0.02
    auc_margin: float = 0.005
    slice_margin: float = 0.05
    slice_minimum: int = 300
    size_mb: float = 50.0
    require_scorer: bool = False
    decide_by: ExpectedLoss | None = None
    behaviour: BehaviourPolicy = BehaviourPolicy()

    @property
    def least_rows(self) -> int:
        """How many rows a candidate is judged on at least."""
        return self.decide_by.minimum_rows if self.decide_by else self.minimum_rows

    @property
    def kept_confidence(self) -> float:
        """The two-sided level of the interval whose upper end must keep a limit; that one is broken is shown at `confidence`."""
        return 1 - 2 * self.decide_by.harm if self.decide_by else self.confidence

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        found = [p for n in ("confidence", "auc_floor") for p in unit("GatePolicy", n, getattr(self, n))]
        if self.block <= timedelta(0):
            found.append(f"GatePolicy.block is {self.block}: it must be above 0")
        if self.auc_ceiling is not None:
            found += unit("GatePolicy", "auc_ceiling", self.auc_ceiling)
            if self.auc_ceiling <= self.auc_floor:
                found.append(
                    f"GatePolicy.auc_ceiling is {self.auc_ceiling}: it must be above auc_floor ({self.auc_floor}), or None"
                )
        return found + self.behaviour.problems() + (self.decide_by.problems() if self.decide_by else [])
