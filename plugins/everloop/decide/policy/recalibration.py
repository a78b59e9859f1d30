"""When scores are brought back to chances without a new model, and what a new calibrator must show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from everloop.decide.policy.rollout import RolloutPolicy

WINDOW = 6
"""Half-lives of labels that a fit looks at: older ones weigh less than 1.6 % of a new one."""


SHORT = RolloutPolicy(
    approval=False,
    steps=(1.0,),
    minimum_requests=50,
    shadow_share=1.0,
    shadow_requests=50,
    watch_labels=500,
    decision_shift=1.0,
)
"""From the shadow to all traffic in one step. A calibrator is a curve with the same booster beneath: order, features and code
are those that serve, so what is left to go wrong shows in the load check (a release that does not load), on 50 requests of the
shadow (scores that cannot be computed: with no error in 50 a rate above 6 % is refuted at 5 %, the rule of three) and in
labels, which the gate has looked at before and the watch looks at after. Half the traffic would only be decided by the older
calibrator for longer."""


@dataclass(frozen=True, kw_only=True)
class RecalibrationPolicy:
    """When scores are brought back to chances without a new model, and what the new calibrator must show before it serves.

    `half_life`: a label counts half as much as one that is so much newer. Short ones follow the season, long ones are steadier.
    `intercept_spread`, `slope_spread`: before a label is seen, the true log odds are `intercept + slope * log odds of the
    score`, normal around 0 and 1 with these standard deviations: few labels change little. `block`: how long the blocks of time
    are whose rows move together (a day's weather). `confidence`: two-sided level of every interval.

    Wanted when labels show that scores at the decision threshold are off (at `confidence`), or when they are newer by `every`
    than those that the serving calibrator knows (`None` for never: fewer releases). `cron`: when it is looked at besides the
    monitor's events, in UTC. Looked at are the labels of the serving booster's rows in the last six half-lives, from
    `minimum_labels` of `minimum_blocks` on.

    Let on when, on these rows, each forecast by the labels known before its block, log loss is shown to be no worse than what
    was served by `margin` of it, cost is not shown to be worse by `cost_margin`, and log loss not worse than without any
    recalibration. `rollout`: how it meets traffic. Its ranking is that of the release it comes of, so nobody is asked,
    decisions may differ as much as they do, and one step is enough; errors, latency and cost are watched as always.

    Where from: `half_life`: ours; of 3 to 14 days, 4 to 7 forecast the flights of April to June alike. `intercept_spread`:
    ours; from a base rate of 20 % half a unit leads to 13 % or 29 %. `slope_spread`: ours. `confidence`: two one-sided tests at
    5 % (Schuirmann 1987, A comparison of the two one-sided tests procedure and the power approach, J. Pharmacokinetics and
    Biopharmaceutics 15(6)). `minimum_labels`: 500, a quarter of them positive, tell their rate to +- 4 %. `minimum_blocks`: a
    sum over fewer tells no spread. `every`, together with the rollout's one step: each look, chosen on the flights of April to
    December (`benchmarks/year.py`: 0.532 a flight instead of 0.541). `margin`: that of `GatePolicy.cost_margin`. `cost_margin`:
    that of `GatePolicy.slice_margin`.
    """

    half_life: timedelta = timedelta(days=5)
    intercept_spread: float = 0.5
    slope_spread: float = 0.25
    block: timedelta = timedelta(days=1)
    confidence: float = 0.9
    minimum_labels: int = 500
    minimum_blocks: int = 3
    every: timedelta | None = timedelta(days=1)
    cron: str = "0 6 * * *"
    margin: float = 0.02
    cost_margin: float = 0.05
    rollout: RolloutPolicy = SHORT

    @property
    def window(self) -> timedelta:
        """How far back labels are looked at."""
        return WINDOW * self.half_life

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        name = "RecalibrationPolicy"
        positive: dict[str, float] = {
            "intercept_spread": self.intercept_spread, "slope_spread": self.slope_spread, "margin": self.margin,
            "cost_margin": self.cost_margin, "minimum_labels": self.minimum_labels,
        }  # fmt: skip
        found = [f"{name}.{one} is {value}: it must be above 0" for one, value in positive.items() if value <= 0]
        spans = {"half_life": self.half_life, "block": self.block, "every": self.every}
        found += [
            f"{name}.{one} is {span}: it must be above 0"
            for one, span in spans.items()
            if span is not None and span <= timedelta(0)
        ]
        if self.half_life < self.block:
            found.append(
                f"{name}.half_life is {self.half_life}: it must be at least block ({self.block}), whose rows move together"
            )
        if not 0.5 <= self.confidence < 1:
            found.append(f"{name}.confidence is {self.confidence}: it must be at least 0.5 and below 1")
        if self.minimum_blocks < 2:
            found.append(f"{name}.minimum_blocks is {self.minimum_blocks}: it must be 2 or more, one alone tells no interval")
        if len(self.cron.split()) != 5:
            found.append(f'{name}.cron is "{self.cron}": give minute, hour, day, month and weekday')
        if self.rollout.approval:
            found.append(f"{name}.rollout.approval is True: nobody is asked about a recalibration, so it must be False")
        return found + [f"{name}.rollout: {problem}" for problem in self.rollout.problems()]
