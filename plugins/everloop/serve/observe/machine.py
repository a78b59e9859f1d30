"""What is true of the machine, whichever of its workers is asked: read when Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector

from everloop.serve.log.aside import ASIDE
from everloop.serve.log.status import Status, read_status


class PredictionLogCollector:
    """How shipping of the prediction log in `folder` goes, as its shipper says; nothing before one has begun."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Any]:
        """See prometheus_client's `Collector`."""
        if (status := read_status(self._folder)) is not None:
            yield from _told(status, datetime.now(UTC))
            words = "Size of the file of what PostgreSQL cannot hold: to be looked at, and deleted."
            yield GaugeMetricFamily("everloop_log_set_aside_bytes", words, _size(self._folder / ASIDE))


def _told(status: Status, now: datetime) -> Iterator[Any]:
    oldest = status.oldest_unshipped_at
    age = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
    for name, words, value in (
        ("unshipped_bytes", "Bytes of the prediction log that are not in PostgreSQL yet.", status.unshipped_bytes),
        ("oldest_unshipped_age_seconds", "Age of the oldest answer that is not in PostgreSQL yet; 0 without any.", age),
        ("shipper_problem", "1 while the prediction log waits on disk for a reason.", float(status.problem is not None)),
        ("shipper_heartbeat_timestamp_seconds", "When the shipper last told how it goes.", status.at.timestamp()),
    ):
        yield GaugeMetricFamily(f"everloop_log_{name}", words, value)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class WorkersCollector:
    """Memory, CPU and open files of each worker process, under prometheus_client's names. `workers`: process ids by number."""

    def __init__(self, workers: Callable[[], Mapping[str, int]]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Any]:
        """See prometheus_client's `Collector`."""
        families: dict[str, Any] = {}
        for worker, pid in self._workers().items():
            for found in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():
                kind = CounterMetricFamily if found.type == "counter" else GaugeMetricFamily
                family = families.setdefault(found.name, kind(found.name, found.documentation, labels=("worker",)))
                family.add_metric((worker,), found.samples[0].value)
        yield from families.values()


class NewestEvents:
    """The latest event time of each view online, as the online store said last."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], float] = {}

    def note(self, use_case: str, view: str, newest: datetime) -> None:
        """Remember what the store said."""
        self._known[use_case, view] = newest.timestamp()

    def collect(self) -> Iterator[Any]:
        """See prometheus_client's `Collector`."""
        words = "The latest event time that a view holds online."
        family = GaugeMetricFamily("everloop_feature_newest_event_timestamp_seconds", words, labels=("use_case", "view"))
        for labels, moment in list(self._known.items()):  # a copy, since the event loop may add to it
            family.add_metric(labels, moment)
        yield family
