"""What every release that answered promised: errors and latency against the service levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everloop.decide.policy import ServicePolicy
from everloop.decide.statistics.intervals import wilson
from everloop.decide.verdict import Outcome
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
    errors, total = rows.num_rows - rows["error"].null_count, rows.num_rows
    rate = wilson(errors, total)
    worse = Outcome.FAIL if rate.low > policy.error_rate else Outcome.INCONCLUSIVE
    outcome = Outcome.PASS if errors / total <= policy.error_rate else worse
    detail = {"errors": errors, "rows": total, "low": rate.low, "high": rate.high, "limit": policy.error_rate}
    found = [_measurement(interval, release, "error_rate", errors / total, outcome, detail)]
    # Rows of one request share its latency: each request counts once.
    requests = rows.group_by("request_id").aggregate([("latency_ms", "max")])
    p50, p95, p99 = np.quantile(numbers(requests["latency_ms_max"]), (0.5, 0.95, 0.99)).tolist()
    outcome = Outcome.PASS if p99 <= policy.latency_ms else Outcome.FAIL
    detail = {"p50": p50, "p95": p95, "requests": requests.num_rows, "limit": policy.latency_ms}
    return [*found, _measurement(interval, release, "latency_p99", p99, outcome, detail)]


def _measurement(
    interval: Interval, release: str, subject: str, value: float, outcome: Outcome, detail: dict[str, Any]
) -> Measurement:
    return Measurement(
        interval=interval, release=release, kind="service", subject=subject, value=value, verdict=outcome, detail=detail
    )
