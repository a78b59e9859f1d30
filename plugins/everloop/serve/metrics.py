"""What the service counts, as Prometheus reads it at /metrics."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from everloop.serve.log.record import Record
from everloop.serve.observe.machine import NewestEvents, PredictionLogCollector, WorkersCollector
from everloop.serve.observe.passage import Marks, Passage
from everloop.serve.observe.sharing import joined, workers
from everloop.serve.observe.tallies import Counts, Histogram, Times

if TYPE_CHECKING:
    import pyarrow as pa

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
STAGE_SECONDS = (0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.02, 0.1, 1)
STAGES = ("read", "features", "score", "log", "write")
TURNED_AWAY = "turned_away"
_FAILED = 500
_UNKNOWN = (401, 403, 404)


class Metrics:
    """What one service counts, in a registry of its own; shared with the machine's other workers where the fleet says so.

    Counters of the hot path are exact as of `flush`, which is called every second and before /metrics is read. `log`: the
    folder of the prediction log.
    """

    def __init__(self, log: Path) -> None:
        folder = joined()
        self._registry = CollectorRegistry()
        self._shown = self._registry if folder is None else CollectorRegistry()
        if folder is not None:
            MultiProcessCollector(self._shown, str(folder))
        self.newest = NewestEvents()
        for collector in (WorkersCollector(lambda: workers(folder)), PredictionLogCollector(log), self.newest):
            self._shown.register(collector)
        self._make_counters()
        self._make_gauges()

    def _make_counters(self) -> None:
        self._requests = self._counts("requests", "Requests by route and status.", "use_case", "route", "status")
        self._seconds = self._times("request_seconds", "Time to answer.", SECONDS, "use_case", "route")
        self._arm_seconds = self._times(
            "arm_seconds",
            "From a request's arrival to its score, of each row, by the arm it was to have.",
            SECONDS,
            "use_case",
            "arm",
        )
        self._stages = self._times(
            "stage_seconds",
            "Time in each stage: read and write of each request; features, score and log of each batch of requests.",
            STAGE_SECONDS,
            "use_case",
            "stage",
        )
        self._rows = self._counts("rows", "Rows scored, by arm and release.", "use_case", "arm", "release")
        self._flags = self._counts("row_flags", "Flags on answered rows.", "use_case", "flag")
        self._views = self._counts(
            "feature_reads",
            "Feature rows looked up online, by what was found: fresh, stale, early, absent.",
            "use_case",
            "view",
            "status",
        )
        self._failures = self._counts("arm_failures", "Rows that the assigned release could not score.", "use_case", "arm")
        self._shed = self._counts("shadow_rows_shed", "Rows that the shadow did not score for lack of time.", "use_case")
        self._overload = self._counts("overload_refusals", "Requests refused since too many were in flight.", "use_case")
        self._failed = self._counts(
            "failed_requests", "Scoring requests answered with 5xx, or refused since too many were in flight.", "use_case"
        )
        self._slow = self._counts("slow_requests", "Scoring requests that took longer than the use case promises.", "use_case")
        self._stages_of = cache(lambda use_case: tuple(self._stages.of(use_case, stage) for stage in STAGES))
        self._tallies = [one for one in vars(self).values() if isinstance(one, Counts | Times)]
        self._swaps = Counter("everloop_swaps", "Changes of the serving release.", ("use_case",), registry=self._registry)

    def _make_gauges(self) -> None:
        self._swap_seconds = self._gauge(
            "swap_seconds", "How long the last change took, loading included.", "livemax", "use_case"
        )
        self.in_flight = self._gauge("in_flight", "Score requests being answered.", "livesum", "use_case")
        self.releases = self._gauge(
            "release_workers",
            "Workers in which a release is the champion, or on trial.",
            "livesum",
            "use_case",
            "role",
            "release",
            "engine",
        )
        self.trained_through = self._gauge(
            "champion_trained_through_timestamp_seconds",
            "The latest moment of the champion's training data.",
            "livemin",
            "use_case",
        )
        self.unserved = self._gauge("unserved", "1 while a worker has no release of a use case.", "livemax", "use_case")
        self.release_problem = self._gauge(
            "release_problem", "1 while what the ledger asks for is not wholly in effect in a worker.", "livemax", "use_case"
        )
        self.promised_errors = self._gauge(
            "objective_error_ratio", "The share of failed requests that the use case allows.", "livemin", "use_case"
        )
        self.promised_seconds = self._gauge(
            "objective_latency_seconds", "What 99 of 100 requests are to be faster than.", "livemin", "use_case"
        )
        self.problem = self._gauge(
            "problem", "1 while a worker cannot reach a part: ledger, online_store, log_disk.", "livemax", "part"
        )

    def answered(self, use_case: str, route: str, status: int, seconds: float) -> None:
        """Note an answered request. Whose key or path nobody knows gets no label: whoever calls could grow them without end."""
        label = "" if status in _UNKNOWN else use_case
        self._requests.add((label, route, status))
        self._seconds.of(label, route).add(seconds)

    def know(self, use_case: str) -> None:
        """Begin the series of what goes wrong at 0: Prometheus sees no rise in a series that begins with its first event."""
        for counts in (self._failed, self._slow, self._overload, self._shed):
            counts.add((use_case,), 0)

    def scored(self, passage: Passage, status: int, until: float) -> None:
        """Note a scoring request against what its use case promises, and the stages that are its own."""
        if status >= _FAILED:
            self._failed.add((passage.use_case,))
        if until - passage.began > passage.promised:
            self._slow.add((passage.use_case,))
        if not passage.told:
            return
        read, _, _, _, write = self._stages_of(passage.use_case)
        read.add(passage.read - passage.began)
        write.add(until - passage.told)

    def batch(self, marks: Marks) -> None:
        """Note the stages that the requests of a batch shared."""
        _, features, score, log, _ = self._stages_of(marks.use_case)
        features.add(marks.features - marks.began)
        score.add(marks.score - marks.features)
        log.add(marks.log - marks.score)

    def answered_row(self, row: Record) -> None:
        """Note a row, as it is logged."""
        self._rows.add((row.use_case, row.arm, row.release))
        self._arm_seconds.of(row.use_case, row.arm).add(row.latency_ms / 1000)
        if row.error:
            self._failures.add((row.use_case, row.arm))
        for flag in row.flags:
            self._flags.add((row.use_case, flag))

    def answered_columns(self, rows: pa.RecordBatch) -> None:
        """Note the rows of a large request, which have use case, arm, release and error in common."""
        use_case, arm, release, error = (rows[name][0].as_py() for name in ("use_case", "arm", "release", "error"))
        self._rows.add((use_case, arm, release), len(rows))
        # They were scored at once, so they share their latency too.
        self._arm_seconds.of(use_case, arm).add(rows["latency_ms"][0].as_py() / 1000, len(rows))
        if error:
            self._failures.add((use_case, arm), len(rows))
        for found in rows["flags"].flatten().value_counts().to_pylist():
            self._flags.add((use_case, found["values"]), found["counts"])

    def shed(self, use_case: str, rows: int) -> None:
        """Note rows that no shadow will score."""
        self._shed.add((use_case,), rows)

    def turned_away(self, use_case: str) -> None:
        """Note a request that was refused for the same reason before anything was read of it, its route included."""
        self._requests.add((use_case, TURNED_AWAY, 429))
        self.overloaded(use_case)

    def overloaded(self, use_case: str) -> None:
        """Note a request that was refused since too many were in flight."""
        self._overload.add((use_case,))
        self._failed.add((use_case,))

    def swapped(self, use_case: str, seconds: float) -> None:
        """Note that another release serves; from any thread."""
        self._swaps.labels(use_case).inc()
        self._swap_seconds.labels(use_case).set(seconds)

    def found(self, use_case: str, view: str, status: str, times: int) -> None:
        """Note what the online store said of a view."""
        self._views.add((use_case, view, status), times)

    def flush(self) -> None:
        """Bring what was counted on the hot path to where Prometheus, and the other workers, see it."""
        for tally in self._tallies:
            tally.flush()

    def text(self) -> bytes:
        """The exposition format, as of the last `flush`; from any thread."""
        return bytes(generate_latest(self._shown))

    def _counts(self, name: str, words: str, *labels: str) -> Counts:
        return Counts(Counter(f"everloop_{name}", words, labels, registry=self._registry))

    def _times(self, name: str, words: str, bounds: tuple[float, ...], *labels: str) -> Times:
        return Times(Histogram(f"everloop_{name}", words, labels, buckets=bounds, registry=self._registry), bounds)

    def _gauge(self, name: str, words: str, mode: str, *labels: str) -> Any:
        return Gauge(f"everloop_{name}", words, labels, registry=self._registry, multiprocess_mode=mode)
