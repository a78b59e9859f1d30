"""How a challenger meets traffic, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from everloop.decide.policy.bounds import unit


@dataclass(frozen=True, kw_only=True)
class RolloutPolicy:
    """How a challenger meets traffic, stage by stage.

    `steps`: the challenger's share of traffic, ascending, the last below or equal to 1; after the last comes promotion.
    Each stage lasts at least `minimum_time` and `minimum_requests` answered by the challenger (in shadow: scored by both).
    `shadow_share`: the share of requests that both arms score. `watch_labels`: ripened labels, scored by both, after which
    a promotion is final; `watch_time` is its shortest length. `patience`: an inconclusive stage pauses after this long.
    Guardrails: `error_rate_margin`, `latency_factor` (challenger's p99 against the champion's), `score_shift` (largest
    Jensen-Shannon distance between the arms' scores on the same requests), `cost_margin` (relative, on paired labels).
    `check_latency_ms`: p99 of scoring one row in the load check, before any traffic.
    `srm_alpha`: sample-ratio mismatch, chi-squared (Fabijan et al. 2019 use 0.0005 to 0.01; we take 0.001).
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
    srm_alpha: float = 0.001
    error_rate_margin: float = 0.01
    latency_factor: float = 2.0
    latency_floor_ms: float = 20.0
    check_latency_ms: float = 100.0
    score_shift: float = 0.35
    cost_margin: float = 0.02
    minimum_labels: int = 200

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        found = unit("RolloutPolicy", "shadow_share", self.shadow_share)
        if not self.steps or list(self.steps) != sorted(set(self.steps)) or not 0 < self.steps[0] <= self.steps[-1] <= 1:
            found.append(f"RolloutPolicy.steps is {self.steps}: shares must ascend within (0, 1]")
        return found
