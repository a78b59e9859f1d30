"""Tallies bring to Prometheus' metrics exactly what counting them one by one would."""

from __future__ import annotations

import numpy as np
from prometheus_client import CollectorRegistry, Counter, generate_latest

from everloop.serve.observe.tallies import Counts, Histogram, Times

BOUNDS = (0.001, 0.01, 0.1)


def histogram(registry: CollectorRegistry) -> Histogram:
    return Histogram("seconds", "Time.", ("route",), buckets=BOUNDS, registry=registry)


def test_times_are_those_of_prometheus_own_histogram() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    times, reference = Times(histogram(ours), BOUNDS), histogram(theirs)
    # Steps of a power of two add up exactly, in whatever order.
    seconds = [*np.random.default_rng(1).integers(0, 2**10, 500) / 2**12, *BOUNDS, 7.0]
    for number, one in enumerate(seconds):
        times.of("score").add(float(one))
        reference.labels("score").observe(float(one))
        if number % 100 == 0:
            times.flush()
    times.flush()
    buckets = [line for line in generate_latest(ours).decode().splitlines() if "_bucket" in line or "_count" in line]
    assert buckets == [line for line in generate_latest(theirs).decode().splitlines() if "_bucket" in line or "_count" in line]
    total = ours.get_sample_value("seconds_sum", {"route": "score"})
    assert total is not None
    np.testing.assert_allclose(total, sum(seconds))


def test_counts_arrive_once_however_often_they_are_flushed() -> None:
    registry = CollectorRegistry()
    counts = Counts(Counter("rows", "Rows.", ("arm",), registry=registry))
    counts.add(("champion",))
    counts.add(("champion",), 4)
    counts.add(("challenger",))
    for _ in range(3):
        counts.flush()
    counts.add(("challenger",))
    counts.flush()
    assert registry.get_sample_value("rows_total", {"arm": "champion"}) == 5
    assert registry.get_sample_value("rows_total", {"arm": "challenger"}) == 2
