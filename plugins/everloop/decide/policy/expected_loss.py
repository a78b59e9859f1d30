"""A gate for few labels: by what a promotion can be expected to lose."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ExpectedLoss:
    """How a candidate is compared where rows are too few to show that it is no worse: by what promoting it may lose on average.

    All numbers are shares of the champion's cost per row. `prior`: before a row is seen, the candidate's true difference is
    normal around 0 with this standard deviation, so a large difference on few rows is mostly taken for chance. It is let on
    when, after the rows, its expected loss `E max(0, difference)` is at most `risk` and it is worse by more than
    `GatePolicy.cost_margin` with probability `harm` at most. It is refused when it is worse by more than the margin with
    probability `1 - harm`, or when keeping the champion can be expected to lose no more than `risk` either. AUC and slices
    stop it when they are shown to be worse; AUC's floor and the calibration's ceiling must be kept with probability `1 -
    harm`; behaviour is judged as always. Nothing is let on with fewer than `minimum_rows` rows, or from fewer than
    `minimum_blocks` days.

    Such decisions need no correction for looking again as labels come: the posterior is the same however often it was asked
    (Berger 1985, Statistical decision theory and Bayesian analysis, sec. 7.7). They are as good as the prior: among candidates
    that differ as it says, one that was let on loses at most `risk` on average.

    Where from: expected loss held against a threshold of caring is Stucchio 2015, Bayesian A/B testing at VWO; the prior
    around 0 as learnt from earlier comparisons, Deng 2015, Objective Bayesian two sample hypothesis testing for online
    controlled experiments. `prior`: retrained from month to month, models of the flights differ by 7 % of the cost (root mean
    square of eight, `benchmarks/results/small_data.json`), a little of it by the season. `risk`: ours, a quarter of the
    default margin. `harm`: ours. `minimum_rows`: 300 rows, a quarter of them positive, tell an AUC of 0.75 to +- 0.07 (Hanley
    & McNeil 1982, eq. 1). `minimum_blocks`: below ten or so even Student's quantile errs (Cameron, Gelbach & Miller 2008,
    Bootstrap-based improvements for inference with clustered errors).
    """

    prior: float = 0.05
    risk: float = 0.005
    harm: float = 0.10
    minimum_rows: int = 300
    minimum_blocks: int = 10

    @property
    def unseen(self) -> float:
        """The expected loss of promoting a candidate of which nothing is known: `prior / sqrt(2 pi)`."""
        return self.prior / math.sqrt(2 * math.pi)

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        found = [] if self.prior > 0 else [f"ExpectedLoss.prior is {self.prior}: it must be above 0"]
        if self.prior > 0 and not 0 < self.risk < self.unseen:
            found.append(
                f"ExpectedLoss.risk is {self.risk}: it must lie above 0 and below {self.unseen:.4f}, what a candidate of which "
                f"nothing is known can be expected to lose with a prior of {self.prior}"
            )
        if not 0 < self.harm < 0.5:
            found.append(f"ExpectedLoss.harm is {self.harm}: it must lie above 0 and below 0.5")
        if self.minimum_rows < 1:
            found.append(f"ExpectedLoss.minimum_rows is {self.minimum_rows}: it must be 1 or more")
        if self.minimum_blocks < 2:
            found.append(f"ExpectedLoss.minimum_blocks is {self.minimum_blocks}: it must be 2 or more")
        return found
