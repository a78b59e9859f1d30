"""What every release that answered promised: errors and latency against the service levels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everloop.decide.policy import ServicePolicy
from everloop.decide.statistics.clusters import blocks
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.watch import service as judging
from everloop.decide.watch.service import Units
from everloop.interval import Interval
from everloop.ports import Measurement, Measurements, Registry, TrafficLog
from everloop.steps.monitor.measuring import write
from everloop.steps.monitor.served import numbers
from everloop.use_case import UseCase


def service(
    traffic: TrafficLog,
    registry: Registry,  # noqa: ARG001 - every measure is called alike
    measurements: Measurements,
    use_case: UseCase,
    intervals: Sequence[Interval],
) -> dict[str, Any]:
    """Kind `service`: `error_rate` and `latency_p99` (ms) of every release that answered, against `ServicePolicy`."""
    found = []
    for interval in intervals:
        rows = traffic.served(use_case.name, interval)
        for release in sorted(set(rows["release"].to_pylist())):
            answered = rows.filter(pc.equal(rows["release"], release))
            found += _service(answered, interval, release, use_case.service)
    return write(measurements, use_case, found)


def _service(rows: pa.Table, interval: Interval, release: str, policy: ServicePolicy) -> list[Measurement]:
    failed = pc.is_valid(rows["error"]).to_numpy()
    rate = judging.error_rate(failed, _units(rows, policy), policy)
    found = [_measurement(interval, release, "error_rate", rate, policy.error_rate, policy, {"errors": int(failed.sum())})]
    # Rows of one request share its latency: each request counts once.
    requests = rows.group_by("request_id").aggregate([("latency_ms", "max"), ("at", "min"), ("entity", "min")])
    requests = requests.rename_columns({"latency_ms_max": "latency_ms", "at_min": "at", "entity_min": "entity"})
    latencies = numbers(requests["latency_ms"])
    p99 = judging.latency_p99(latencies, _units(requests, policy), policy)
    p50, p95 = np.quantile(latencies, (0.5, 0.95)).tolist()
    detail = {"p50": p50, "p95": p95, "requests": requests.num_rows}
    return [*found, _measurement(interval, release, "latency_p99", p99, policy.latency_ms, policy, detail)]


def _units(rows: pa.Table, policy: ServicePolicy) -> Units:
    at = rows["at"].cast(pa.timestamp("us", "UTC")).to_numpy()
    entities = rows["entity"].combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy()
    return Units(blocks(at, timedelta(seconds=policy.burst_seconds)), entities)


def _measurement(
    interval: Interval,
    release: str,
    subject: str,
    found: Estimate,
    limit: float,
    policy: ServicePolicy,
    detail: dict[str, Any],
) -> Measurement:
    reason = judging.judge(subject, found, limit, policy)
    return Measurement(
        interval=interval,
        release=release,
        kind="service",
        subject=subject,
        value=found.value,
        verdict=reason.outcome,
        detail=reason.numbers | detail | {"because": reason.text},
    )
