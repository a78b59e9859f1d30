"""How well a release is expected to do in an interval before labels come, and whether that may be believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from everloop.decide.statistics.clusters import blocks
from everloop.decide.verdict import Outcome, Reason, Verdict
from everloop.decide.watch import assumptions, concept
from everloop.decide.watch import estimate as estimating
from everloop.decide.watch import performance as performing
from everloop.decide.watch.estimate import Calibration
from everloop.interval import Interval
from everloop.ports import Measurement, Measurements, Registry, TrafficLog
from everloop.steps.monitor.measuring import WINDOW, each, window, write
from everloop.steps.monitor.served import Scored, each_champion
from everloop.use_case import UseCase


def estimate(
    traffic: TrafficLog, registry: Registry, measurements: Measurements, use_case: UseCase, intervals: Sequence[Interval]
) -> dict[str, Any]:
    """Kind `estimate`: `auc`, `cost`, `precision`, `recall`, `f1` that the scores expect (`decide.watch.estimate`), and `window`.

    To be run after `drift` and `performance` of the same intervals, whose verdicts say whether the estimate may be believed.
    """
    found = each_champion(traffic, registry, use_case, intervals, lambda s: _measure(s, use_case, measurements))
    return write(measurements, use_case, found)


def _measure(rows: Scored, use_case: UseCase, measurements: Measurements) -> list[Measurement]:
    windows = _newest(rows, measurements, use_case, "concept", estimating.WINDOWS)
    calibration, assumed = _calibration(rows, windows, use_case), _assumed(rows, measurements, windows, use_case)
    days = blocks(rows.asked, use_case.gate.block)
    expected = estimating.expect(rows.scores, rows.bundle.manifest.threshold, use_case.cost, calibration, days)
    if expected is None:
        return []
    found = expected.measures()
    measured = performing.judge(found, rows.reference["metrics"], use_case.retrain, use_case.drift.minimum_rows)
    verdict = assumptions.weigh(measured, assumed)
    detail = window(rows, verdict) | {"rate": float(rows.scores.mean())}
    return [
        rows.measured("estimate", WINDOW, float(rows.scores.mean()), verdict.outcome, detail),
        *each(rows, "estimate", found, verdict),
    ]


def _calibration(rows: Scored, windows: Sequence[Measurement], use_case: UseCase) -> Calibration | None:
    """Of the held-out residuals and those of earlier windows; `None` for a release from before the former were kept."""
    score = rows.reference["score"]
    if "residuals" not in score:
        return None
    earlier = [
        one.detail for one in windows if one.interval < rows.interval and one.detail["labels"] >= use_case.drift.minimum_rows
    ]
    return Calibration.of(score["edges"], [score["residuals"], *(one["residuals"] for one in earlier)])


def _assumed(rows: Scored, measurements: Measurements, windows: Sequence[Measurement], use_case: UseCase) -> tuple[Reason, ...]:
    drift = _newest(rows, measurements, use_case, "drift", 1)
    same = drift[-1] if drift and drift[-1].interval == rows.interval else None
    return assumptions.checked(
        rows.scores,
        rows.reference["score"].get("range"),
        _verdict(same) if same else None,
        same.detail["strangers"] if same else {},
        _relation(rows, windows, use_case),
    )


def _relation(rows: Scored, windows: Sequence[Measurement], use_case: UseCase) -> Verdict | None:
    """The verdict on the latest labelled windows that together have enough labels, else on the release's held-out rows."""
    held_out = rows.reference["score"].get("residuals")
    merged = None
    for measured in reversed(windows):
        sketch = measured.detail["residuals"]
        merged = sketch if merged is None else concept.merge(merged, sketch)
        if sum(merged["rows"]) >= use_case.drift.minimum_rows:
            return concept.judge(concept.measure(merged, held_out), use_case.drift)
    return concept.judge(concept.measure(held_out), use_case.drift) if held_out else None


def _newest(rows: Scored, measurements: Measurements, use_case: UseCase, kind: str, count: int) -> list[Measurement]:
    """The release's latest windows of a kind until this one."""
    asked = {"kind": kind, "release": rows.release, "subject": WINDOW}
    return measurements.read(use_case.name, **asked, until=rows.interval.end, newest=count)


def _verdict(measured: Measurement) -> Verdict:
    """A window's verdict as it was written."""
    reasons = [Reason(r["check"], Outcome(r["outcome"]), r["text"], r["numbers"]) for r in measured.detail["reasons"]]
    return Verdict(Outcome(measured.verdict), tuple(reasons))
