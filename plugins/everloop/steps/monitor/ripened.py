"""Earlier intervals that must be measured again, since labels of them came or were corrected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from everloop.interval import Interval
from everloop.ports import Measurements, TrafficLog
from everloop.use_case import UseCase


def ripened(
    traffic: TrafficLog, measurements: Measurements, use_case: UseCase, intervals: Sequence[Interval], cursor: str
) -> tuple[list[Interval], datetime]:
    """The intervals before `intervals` of which labels came or changed since the last look, and until when this look reaches.

    `cursor` is on the prediction log's clock; who measures moves it. The cost is that of the outcomes recorded since, however
    long the history is. The first look finds nothing: all is new.
    """
    since = measurements.cursor(use_case.name, cursor)
    starts, looked = traffic.relabelled(use_case.name, since, use_case.start, use_case.interval)
    first = min((interval.start for interval in intervals), default=use_case.start)
    return [Interval(start, start + use_case.interval) for start in starts if start < first], looked
