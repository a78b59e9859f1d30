"""A scoring service in memory: it answers, or says why it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from everloop.errors import ReleaseError


class InMemoryScorer:
    """`ports.Scorer` that scores every row of a known release alike; `broken` maps releases to what the service would say."""

    def __init__(self, score: float = 0.5, latency_ms: float = 1.0, broken: Mapping[str, str] | None = None) -> None:
        self._score = score
        self._latency_ms = latency_ms
        self._broken = dict(broken or {})
        self.checked: list[tuple[str, int]] = []

    def check(self, use_case: str, release: str, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        self.checked.append((release, len(rows)))
        if release in self._broken:
            raise ReleaseError(f"The scorer refuses release {release} of {use_case}: {self._broken[release]}")
        return {"scores": [self._score] * len(rows), "latency_ms": self._latency_ms}
