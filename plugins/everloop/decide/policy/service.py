"""What the scoring service promises."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ServicePolicy:
    """What the scoring service promises and how it answers when something is missing.

    `on_missing_features`: "default" answers with the model's own missing-value path and flags it; "refuse" answers 422.
    `maximum_*`: beyond these a request is refused, or answered 429 while so many are in flight (ours: measure your own scorer).
    `feature_cache_seconds`: how long a feature row that was read is used again before the online store is asked anew; 0 asks
    every time (ours: far below the interval at which features change). A push through the same process counts at once. A row in
    demand is asked for anew after half of it, beside requests.
    `durable_log`: an answer waits until its record is on the disk itself (some milliseconds, shared by all that wait); otherwise
    it waits for the kernel, which a killed process does not lose but a power failure may, for 10 ms.
    `latency_ms`: the p99 that the monitor wants (100 ms feels instant: Nielsen 1993, Usability Engineering, ch. 5); `error_rate`:
    the share of answers with an error that it allows (three nines, the customary start of a service level objective).
    The monitor judges both by intervals of `confidence`, for windows of `minimum_requests` or more: of 367 independent requests
    or fewer the slowest lies below the true p99 with more than 2.5 % (0.99^367), so that they bound it nowhere. Answers within
    `burst_seconds` of each other are taken to fare alike: a minute is the step in which service levels are customarily counted
    (Beyer, Jones, Petoff & Murphy 2016, Site Reliability Engineering, ch. 4).
    """

    on_missing_features: str = "default"
    maximum_rows: int = 1_000
    maximum_bytes: int = 2_000_000
    maximum_in_flight: int = 64
    feature_cache_seconds: float = 1.0
    durable_log: bool = False
    latency_ms: float = 100.0
    error_rate: float = 0.001
    confidence: float = 0.95
    minimum_requests: int = 368
    burst_seconds: float = 60.0

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        found = []
        if self.on_missing_features not in ("default", "refuse"):
            found.append(f'ServicePolicy.on_missing_features is "{self.on_missing_features}": use "default" or "refuse"')
        if self.feature_cache_seconds < 0:
            found.append(f"ServicePolicy.feature_cache_seconds is {self.feature_cache_seconds}: use 0 or more")
        if not 0 < self.confidence < 1:
            found.append(f"ServicePolicy.confidence is {self.confidence}: it must lie in (0, 1)")
        if self.minimum_requests < 1:
            found.append(f"ServicePolicy.minimum_requests is {self.minimum_requests}: it must be 1 or more")
        if self.burst_seconds <= 0:
            found.append(f"ServicePolicy.burst_seconds is {self.burst_seconds}: it must be above 0")
        return found
