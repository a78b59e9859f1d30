"""Served features against history: a sample of the prediction log, replayed through the point-in-time join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow.compute as pc

from everloop.decide.parity import Comparison, Tally, compare
from everloop.decide.parity_verdict import judge
from everloop.decide.verdict import Outcome
from everloop.interval import Interval
from everloop.ports import Features, Measurement, Measurements, TrafficLog
from everloop.steps.parity.replay import replayed
from everloop.steps.parity.report import lines
from everloop.steps.parity.sample import sample
from everloop.use_case import UseCase

KIND = "parity"
WINDOW = "window"
"""The subject whose verdict is that of the whole interval, as in every measure of the monitor."""


def measure(
    traffic: TrafficLog, features: Features, measurements: Measurements, use_case: UseCase, intervals: Sequence[Interval]
) -> dict[str, Any]:
    """Kind `parity`, subject `window`: the share of equal rows by interval and release, with the features and rows that differ.

    An interval without traffic is not measured. Returns `{"measured": rows written, "verdicts": {label: verdict}, "report":
    lines}`, where the report tells of what did not pass.
    """
    found: list[Measurement] = []
    for interval in intervals:
        rows = traffic.served(use_case.name, interval)
        rows = rows.filter(pc.is_null(rows["error"]))
        for release in sorted(set(rows["release"].to_pylist())):
            answered = sample(rows.filter(pc.equal(rows["release"], release)), use_case.parity.sample)
            comparison = compare(replayed(features, answered), use_case.parity.tolerance)
            found.append(_measured(use_case, interval, release, comparison))
    measurements.write(use_case.name, found)
    return {
        "measured": len(found),
        "verdicts": {f"{m.interval.label} {m.release}": m.verdict for m in found},
        "report": [line for m in found if m.verdict != Outcome.PASS for line in lines(m)],
    }


def _measured(use_case: UseCase, interval: Interval, release: str, comparison: Comparison) -> Measurement:
    verdict = judge(comparison, use_case.parity)
    return Measurement(
        interval=interval,
        release=release,
        kind=KIND,
        subject=WINDOW,
        value=comparison.whole.share,
        verdict=verdict.outcome,
        detail=_detail(comparison) | {"because": verdict.because(), "reasons": verdict.to_json()["reasons"]},
    )


def _detail(comparison: Comparison) -> dict[str, Any]:
    low, high = comparison.interval
    return {
        **asdict(comparison.whole),
        "low": low,
        "high": high,
        "features": _shares(comparison.features),
        "statuses": _shares(comparison.statuses),
        "differing": comparison.differing,
        "unavailable": comparison.unavailable,
        "not_replayed": list(comparison.not_replayed),
        "worst": [asdict(offence) | {"as_of": offence.as_of.isoformat()} for offence in comparison.worst],
    }


def _shares(tallies: Mapping[str, Tally]) -> dict[str, Any]:
    return {name: asdict(tally) for name, tally in tallies.items()}
