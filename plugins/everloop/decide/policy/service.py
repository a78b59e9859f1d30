"""What the scoring service promises."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ServicePolicy:
    """What the scoring service promises and how it answers when something is missing.

    `on_missing_features`: "default" answers with the model's own missing-value path and flags it; "refuse" answers 422.
    `maximum_*`: beyond these a request is refused, or answered 429 while so many are in flight (ours: measure your own scorer).
    `latency_ms`: the p99 that the monitor wants (100 ms feels instant: Nielsen 1993, Usability Engineering, ch. 5); `error_rate`:
    the share of answers with an error that it allows (three nines, the customary start of a service level objective).
    """

    on_missing_features: str = "default"
    maximum_rows: int = 1_000
    maximum_bytes: int = 2_000_000
    maximum_in_flight: int = 64
    latency_ms: float = 100.0
    error_rate: float = 0.001

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        if self.on_missing_features in ("default", "refuse"):
            return []
        return [f'ServicePolicy.on_missing_features is "{self.on_missing_features}": use "default" or "refuse"']
