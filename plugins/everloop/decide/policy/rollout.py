"""How a challenger meets traffic, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from everloop.decide.policy.bounds import unit


@dataclass(frozen=True, kw_only=True)
class RolloutPolicy:
    """How a challenger meets traffic, stage by stage. In brackets: where a default comes from; "ours" is a choice, no finding.

    `steps`: the challenger's share of traffic, ascending, the last below or equal to 1; after the last comes promotion (ours;
    that shares should widen in stages: Xia, Bhardwaj, Dmitriev & Fabijan 2019, Safe velocity, ICSE-SEIP). Each stage lasts at
    least `minimum_time` and `minimum_requests` answered by the challenger (in shadow: `shadow_requests` scored by both; ours:
    with 500 answers and no error a rate above 2.2 % is refuted at 1 % by the always-valid interval). `shadow_share`: the share of
    requests that both arms score. `watch_labels`: ripened labels, scored by both, after which a promotion is final; `watch_time`
    is its shortest length. `patience`: an inconclusive stage pauses after this long (ours). `alpha`: the chance that a whole
    rollout of an equal release is rolled back (the customary 5 %). `margin_alpha`: the chance, in each stage, that one is rolled
    back which is worse by exactly the margin in errors, missing features or the tail of latency; and the level at which one look
    alone holds a stage back (ours: a fifth, since harm beyond the margin is wanted stopped soon).

    Guardrails: `error_rate_margin`, `missing_margin` (answers without a fresh feature), both in shares of the answers (1 % as
    Flagger's own example of `request-success-rate`, at least 99; 5 %: ours, since a new view may rightly know fewer entities).
    `latency_factor` (challenger's p99 against the champion's), never judged below `latency_floor_ms` (ours). `decision_shift`:
    the largest share of the same requests that both arms may decide differently (ours: two models of one month of the flights
    differ in 7 %, models of two seasons in up to 54 %: measure your own models). `ranking_shift`: the largest share of pairs of
    requests that both may put in another order, half for orders that have nothing in common (ours: real models of the flights
    differ in 13 to 24 %, of 500 labels each in up to 36 %, one of shuffled labels in 46 to 53 %). `cost_margin`: relative, on
    paired labels, from `minimum_labels` on (ours: 2 %, what two alike models of the flights differ by is 1.3 % on 22,000 rows).
    `estimated_cost_margin`: the same before labels; `None` only tells it. `check_latency_ms`: p99 of scoring one row in the load
    check, before any traffic (100 ms: what feels instant, Nielsen 1993, Usability engineering, ch. 5). `block`: how long the
    blocks of data time are whose rows move together (a day's weather, a pay-day); costs are judged by them. `srm_alpha`:
    sample-ratio mismatch, chi-squared (Fabijan et al. 2019 use 0.0005 to 0.01; we take 0.001).
    """

    approval: bool = True
    steps: tuple[float, ...] = (0.01, 0.05, 0.25, 0.50, 1.0)
    minimum_time: timedelta = timedelta(minutes=10)
    minimum_requests: int = 500
    shadow_share: float = 0.2
    shadow_requests: int = 500
    watch_time: timedelta = timedelta(days=1)
    watch_labels: int = 1_000
    patience: timedelta = timedelta(days=2)
    poll: timedelta = timedelta(seconds=30)
    alpha: float = 0.05
    margin_alpha: float = 0.2
    srm_alpha: float = 0.001
    error_rate_margin: float = 0.01
    missing_margin: float = 0.05
    latency_factor: float = 2.0
    latency_floor_ms: float = 20.0
    check_latency_ms: float = 100.0
    decision_shift: float = 0.35
    ranking_shift: float = 0.4
    cost_margin: float = 0.02
    estimated_cost_margin: float | None = None
    minimum_labels: int = 200
    block: timedelta = timedelta(days=1)

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        shares = ("shadow_share", "alpha", "srm_alpha", "error_rate_margin", "missing_margin", "decision_shift", "ranking_shift")
        found = [p for n in shares for p in unit("RolloutPolicy", n, getattr(self, n))]
        if not self.steps or list(self.steps) != sorted(set(self.steps)) or not 0 < self.steps[0] <= self.steps[-1] <= 1:
            found.append(f"RolloutPolicy.steps is {self.steps}: shares must ascend within (0, 1]")
        if not 0 < self.margin_alpha < 0.5:
            found.append(f"RolloutPolicy.margin_alpha is {self.margin_alpha}: it must lie above 0 and below 0.5")
        if self.block <= timedelta(0):
            found.append(f"RolloutPolicy.block is {self.block}: it must be above 0")
        if (spent := self.srm_alpha * len(self.steps)) >= self.alpha:
            found.append(
                f"RolloutPolicy.srm_alpha is {self.srm_alpha}: in {len(self.steps)} steps it spends {spent:g}, and alpha, "
                f"for all guardrails together, is {self.alpha}: lower srm_alpha or raise alpha"
            )
        return found
