"""Whether a release answered as its service levels promise: how many answers failed, and how slow the slowest were.

Failures and slow answers come in bursts, and from some callers more than from others. So both are told with two intervals, one by
bursts of time and one by entities, and the wider end counts each time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from everloop.decide.policy import ServicePolicy
from everloop.decide.statistics.bursts import burst_quantile, burst_rate
from everloop.decide.statistics.clusters import Codes
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason

SHARE = 0.99
"""Of the requests, the share within the latency that is promised."""


@dataclass(frozen=True)
class Units:
    """Which rows are not independent (rows,): codes from 0 of the burst in which each was answered and of its entity."""

    bursts: Codes
    entities: Codes

    @property
    def kinds(self) -> list[Codes]:
        """Bursts always; entities where there are two or more, since one says nothing of how they differ."""
        return [self.bursts, *([self.entities] if len(np.unique(self.entities)) > 1 else [])]


def error_rate(failed: npt.NDArray[np.bool_], units: Units, policy: ServicePolicy) -> Estimate:
    """The share of rows (rows,) that were answered with an error; one row at least."""
    return _widest([burst_rate(failed, kind, policy.confidence) for kind in units.kinds])


def latency_p99(latencies: npt.NDArray[np.float64], units: Units, policy: ServicePolicy) -> Estimate:
    """The latency (ms) within which 99 % of the requests (requests,) were answered; one request at least."""
    return _widest([burst_quantile(latencies, kind, SHARE, policy.confidence) for kind in units.kinds])


def _widest(found: Sequence[Estimate]) -> Estimate:
    low, high = min(found, key=lambda one: one.low), max(found, key=lambda one: one.high)
    return replace(low, high=high.high, units=min(one.units or 0 for one in found))


def judge(name: str, found: Estimate, limit: float, policy: ServicePolicy) -> Reason:
    """Fail where the whole interval lies above the limit, pass where none of it does; `name` is `error_rate` or `latency_p99`.

    Inconclusive between the two, and below `minimum_requests`.
    """
    numbers = {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "limit": limit,
        "rows": found.rows,
        "units": found.units,
    }
    check, shown = f"service.{name}", f"{found.value:.4g} [{_end(found.low)}, {_end(found.high)}], limit {limit:g}"
    if found.rows < policy.minimum_requests:
        text = f"{found.rows} answers are too few to judge {name} ({shown}): {policy.minimum_requests} wanted"
        return Reason(check, Outcome.INCONCLUSIVE, text, numbers)
    text = f"{name} {shown}, of {found.rows} answers"
    if found.low > limit:
        return Reason(check, Outcome.FAIL, text, numbers)
    return Reason(check, Outcome.PASS if found.high <= limit else Outcome.INCONCLUSIVE, text, numbers)


def _end(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "?"
