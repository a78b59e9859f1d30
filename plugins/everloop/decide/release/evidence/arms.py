"""What one release answered, and how: errors, missing features, latency; and how entities were split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from everloop.decide.statistics.clusters import Clusters
from everloop.decide.statistics.intervals import Range
from everloop.decide.statistics.quantiles import quantile, quantile_sequence

LATENCY_EDGES = np.geomspace(0.1, 60_000, 256)
"""Upper ends of the latency buckets in milliseconds, 5% apart, so that a quantile is right to 5%."""


@dataclass(frozen=True, kw_only=True)
class LoadCheck:
    """What the real scorer said when it loaded the release and scored `rows` rows, `unusable` of them not within [0, 1].

    `refused`: its words when it did not load or answer, which speaks against the release. `unreachable`: why nobody
    could be asked, which says nothing of the release.
    """

    rows: int = 0
    unusable: int = 0
    latency_ms: float | None = None
    refused: str | None = None
    unreachable: str | None = None

    @classmethod
    def of(cls, scores: Sequence[float | None], latency_ms: float | None = None) -> LoadCheck:
        """From the scores that came back, null for a row without one."""
        usable = sum(score is not None and 0 <= score <= 1 for score in scores)
        return cls(rows=len(scores), unusable=len(scores) - usable, latency_ms=latency_ms)


@dataclass(frozen=True, kw_only=True)
class ByUnit:
    """What `Clusters` sums of units: comparable rows and their errors; rows and missing features; requests and slow ones."""

    errors: Clusters = field(default_factory=Clusters)
    missing: Clusters = field(default_factory=Clusters)
    slow: Clusters = field(default_factory=Clusters)

    def __add__(self, other: ByUnit) -> ByUnit:
        return ByUnit(
            errors=self.errors + other.errors, missing=self.missing + other.missing, slow=self.slow + other.slow,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Rows that a release answered: all, those with an error of its own, and `incomplete` ones, for which some feature view that
    the other release does not read gave nothing fresh. `latency` counts requests by `LATENCY_EDGES`.

    `shared_errors`: rows that the other release, asked too, could not answer either; they say nothing of either release.
    `by_entity`: sums over entities, so that rows of one entity count for what they are worth; `by_batch`: over batches of time,
    where the other release answered at another time, so that a burst counts as one event. Without them rows are taken to be
    independent.
    """

    requests: int = 0
    errors: int = 0
    incomplete: int = 0
    latency: tuple[int, ...] = (0,) * (len(LATENCY_EDGES) + 1)
    shared_errors: int = 0
    by_entity: ByUnit = field(default_factory=ByUnit)
    by_batch: ByUnit = field(default_factory=ByUnit)

    def __add__(self, other: Arm) -> Arm:
        """The rows of both, whose entities must not overlap."""
        return Arm(
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            incomplete=self.incomplete + other.incomplete,
            latency=tuple(a + b for a, b in zip(self.latency, other.latency, strict=True)),
            shared_errors=self.shared_errors + other.shared_errors,
            by_entity=self.by_entity + other.by_entity,
            by_batch=self.by_batch + other.by_batch,
        )

    @property
    def comparable(self) -> int:
        """Rows that one of both releases could answer: all but the shared errors."""
        return self.requests - self.shared_errors

    @property
    def timed(self) -> int:
        """Requests whose latency is known."""
        return sum(self.latency)

    def slower(self, limit: float) -> int:
        """Requests that surely took longer than `limit` (ms): those of the buckets that lie wholly above it."""
        return sum(self.latency[int(np.searchsorted(LATENCY_EDGES, limit)) + 1 :])

    def quantile(self, share: float) -> float:
        """The latency (ms) that `share` of the requests stay at or under: the upper end of its bucket. NaN without requests."""
        return quantile(self.latency, LATENCY_EDGES, share)

    def quantile_sequence(self, share: float, alpha: float, effect: float = 1.0) -> Range:
        """That latency's confidence sequence (ms), of so many times fewer requests as the design `effect` says."""
        return quantile_sequence([count / effect for count in self.latency], LATENCY_EDGES, share, alpha)


@dataclass(frozen=True, kw_only=True)
class Assigned:
    """Distinct entities that each arm answered since the weight took effect: the unit that is assigned, so the one to count."""

    candidate: int = 0
    baseline: int = 0
