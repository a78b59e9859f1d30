"""What the service counts, as Prometheus reads it at /metrics."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from everloop.serve.log.record import Record

if TYPE_CHECKING:
    import pyarrow as pa

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """Counters of one service, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = self._counter("requests", "Requests by route and status.", "use_case", "route", "status")
        self._seconds = Histogram(
            "everloop_request_seconds", "Time to answer.", ("use_case", "route"), buckets=_SECONDS, registry=self._registry
        )
        self._rows = self._counter("rows", "Rows scored, by arm and release.", "use_case", "arm", "release")
        self._flags = self._counter("row_flags", "Flags on answered rows.", "use_case", "flag")
        self._views = self._counter(
            "feature_reads",
            "Feature rows looked up online, by what was found: fresh, stale, early, absent.",
            "use_case",
            "view",
            "status",
        )
        self.newest = self._gauge(
            "feature_newest_event_timestamp_seconds", "The latest event time that a view holds online.", "use_case", "view"
        )
        self._failures = self._counter("arm_failures", "Rows that the assigned release could not score.", "use_case", "arm")
        self._turned_away = self._counter("requests_turned_away", "Score requests that found no place in their process (429).")
        self._shed = self._counter("shadow_rows_shed", "Rows that the shadow did not score for lack of time.", "use_case")
        self._swaps = self._counter("swaps", "Changes of the serving release.", "use_case")
        self._swap_seconds = self._gauge("swap_seconds", "How long the last change took, loading included.", "use_case")
        self.in_flight = self._gauge("in_flight", "Score requests being answered.", "use_case")
        # Looking a label up takes longer than counting.
        self._of = cache(lambda metric, *labels: metric.labels(*labels))

    def answered(self, use_case: str, route: str, status: int, seconds: float) -> None:
        """Note an answered request. Whose key or path nobody knows gets no label: whoever calls could grow them without end."""
        label = "" if status in (401, 403, 404) else use_case
        self._of(self._requests, label, route, status).inc()
        self._of(self._seconds, label, route).observe(seconds)

    def answered_row(self, row: Record) -> None:
        """Note a row, as it is logged."""
        self._of(self._rows, row.use_case, row.arm, row.release).inc()
        if row.error:
            self._of(self._failures, row.use_case, row.arm).inc()
        for flag in row.flags:
            self._of(self._flags, row.use_case, flag).inc()

    def answered_columns(self, rows: pa.RecordBatch) -> None:
        """Note the rows of a large request, which have use case, arm, release and error in common."""
        use_case, arm, release, error = (rows[name][0].as_py() for name in ("use_case", "arm", "release", "error"))
        self._of(self._rows, use_case, arm, release).inc(len(rows))
        if error:
            self._of(self._failures, use_case, arm).inc(len(rows))
        for found in rows["flags"].flatten().value_counts().to_pylist():
            self._of(self._flags, use_case, found["values"]).inc(found["counts"])

    def turned_away(self) -> None:
        """Note a request that was refused before anything was read of it."""
        self._turned_away.inc()

    def shed(self, use_case: str, rows: int) -> None:
        """Note rows that no shadow will score."""
        self._of(self._shed, use_case).inc(rows)

    def swapped(self, use_case: str, seconds: float) -> None:
        """Note that another release serves."""
        self._of(self._swaps, use_case).inc()
        self._of(self._swap_seconds, use_case).set(seconds)

    def found(self, use_case: str, view: str, status: str, times: int) -> None:
        """Note what the online store said of a view."""
        self._of(self._views, use_case, view, status).inc(times)

    def text(self) -> bytes:
        """The exposition format."""
        return bytes(generate_latest(self._registry))

    def _counter(self, name: str, words: str, *labels: str) -> Any:
        return Counter(f"everloop_{name}", words, labels, registry=self._registry)

    def _gauge(self, name: str, words: str, *labels: str) -> Any:
        return Gauge(f"everloop_{name}", words, labels, registry=self._registry)
