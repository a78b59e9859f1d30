"""What every measure is written with: one row an interval, release and subject.

Each measure takes the intervals to measure and overwrites what stood there: measuring again, or later with more labels, is safe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Verdict
from everloop.ports import Measurement, Measurements
from everloop.steps.deciding import finite
from everloop.steps.monitor.served import Scored
from everloop.use_case import UseCase

WINDOW = "window"
"""The subject whose verdict is that of the whole interval."""


def each(rows: Scored, kind: str, found: Mapping[str, Estimate], verdict: Verdict) -> list[Measurement]:
    """A measurement for each number, with the outcome of the check of its name; inconclusive where none judges it."""
    outcomes = {reason.check.rpartition(".")[2]: reason.outcome for reason in verdict.reasons}
    judged = {name: outcomes.get(name, Outcome.INCONCLUSIVE) for name in found}
    return [rows.measured(kind, name, value.value, judged[name], asdict(value)) for name, value in found.items()]


def window(rows: Scored, verdict: Verdict) -> dict[str, Any]:
    """What `wanting` needs to know of the window and its release."""
    manifest = rows.bundle.manifest
    detail = {"because": verdict.because(), "rows": len(rows.scores), "trained_through": manifest.trained_through.isoformat()}
    return verdict.to_json() | detail


def write(measurements: Measurements, use_case: UseCase, found: Sequence[Measurement]) -> dict[str, Any]:
    """Write, and say in a few words what is written."""
    finished = [
        Measurement(
            interval=m.interval, release=m.release, kind=m.kind, subject=m.subject, value=m.value, verdict=str(m.verdict),
            detail=finite(m.detail),
        )
        for m in found
    ]  # fmt: skip
    measurements.write(use_case.name, finished)
    if not finished:
        return {"measurements": 0, "failed": [], "reason": "nothing was served in these intervals: nothing to measure"}
    failed = [f"{m.interval.label} {m.release} {m.subject}" for m in finished if m.verdict == Outcome.FAIL]
    return {"measurements": len(finished), "failed": failed, "reason": f"{len(failed)} of {len(finished)} measurements failed"}
