"""What the service counts, as Prometheus reads it at /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """Counters of one service, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter(
            "everloop_requests", "Requests by route and status.", ("use_case", "route", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "everloop_request_seconds", "Time to answer.", ("use_case", "route"), buckets=_SECONDS, registry=self._registry
        )
        self.rows = Counter(
            "everloop_rows", "Rows scored, by arm and release.", ("use_case", "arm", "release"), registry=self._registry
        )
        self.flags = Counter("everloop_row_flags", "Flags on answered rows.", ("use_case", "flag"), registry=self._registry)
        self.views = Counter(
            "everloop_feature_reads",
            "Feature rows looked up online, by what was found: fresh, stale, early, absent.",
            ("use_case", "view", "status"),
            registry=self._registry,
        )
        self.newest = Gauge(
            "everloop_feature_newest_event_timestamp_seconds",
            "The latest event time that a view holds online.",
            ("use_case", "view"),
            registry=self._registry,
        )
        self.failures = Counter(
            "everloop_arm_failures",
            "Rows that the assigned release could not score.",
            ("use_case", "arm"),
            registry=self._registry,
        )
        self.swaps = Counter("everloop_swaps", "Changes of the serving release.", ("use_case",), registry=self._registry)
        self.swap_seconds = Gauge(
            "everloop_swap_seconds", "How long the last change took, loading included.", ("use_case",), registry=self._registry
        )
        self.in_flight = Gauge("everloop_in_flight", "Score requests being answered.", ("use_case",), registry=self._registry)

    def swapped(self, use_case: str, seconds: float) -> None:
        """Note that another release serves."""
        self.swaps.labels(use_case).inc()
        self.swap_seconds.labels(use_case).set(seconds)

    def found(self, use_case: str, view: str, status: str, times: int) -> None:
        """Note what the online store said of a view."""
        self.views.labels(use_case, view, status).inc(times)

    def text(self) -> bytes:
        """The exposition format."""
        return bytes(generate_latest(self._registry))
