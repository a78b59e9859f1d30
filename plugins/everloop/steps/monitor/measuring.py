"""The measures: drift, performance, estimated performance, fairness, service levels; one row an interval, release and subject.

Each takes the intervals to measure and overwrites what stood there, so measuring again, or later with more labels, is safe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everloop.decide import fairness as fairly
from everloop.decide.policy import ServicePolicy
from everloop.decide.statistics.calibration import calibration_error
from everloop.decide.statistics.compare import Estimate
from everloop.decide.statistics.intervals import wilson
from everloop.decide.verdict import Outcome, Verdict
from everloop.decide.watch import drift as drifting
from everloop.decide.watch import estimate as estimating
from everloop.decide.watch import performance as performing
from everloop.interval import Interval
from everloop.ports import Measurement, Measurements, Registry, TrafficLog
from everloop.steps.deciding import finite
from everloop.steps.monitor.paired import paired
from everloop.steps.monitor.served import Scored, each_champion, numbers
from everloop.use_case import UseCase

WINDOW = "window"
"""The subject whose verdict is that of the whole interval."""

RIPENED = "monitor:ripened"
"""The cursor (the prediction log's clock) of the outcomes that the measured performance knows of."""


def drift(
    traffic: TrafficLog, registry: Registry, measurements: Measurements, use_case: UseCase, intervals: Sequence[Interval]
) -> dict[str, Any]:
    """Kind `drift`: PSI by model input, of the score, and the window's verdict with the share of columns that moved."""
    return _write(measurements, use_case, each_champion(traffic, registry, use_case, intervals, lambda s: _drift(s, use_case)))


def performance(
    traffic: TrafficLog, registry: Registry, measurements: Measurements, use_case: UseCase, intervals: Sequence[Interval]
) -> dict[str, Any]:
    """Kind `performance`: `auc`, `cost`, `ece` and `window` of labelled rows, and both arms paired on the same rows.

    Earlier intervals of which labels came or were corrected since they were measured are measured again.
    """
    again, looked = _ripened(traffic, measurements, use_case, intervals)
    found = each_champion(traffic, registry, use_case, [*again, *intervals], lambda s: _performance(s, use_case))
    for interval in (*again, *intervals):
        found += paired(traffic.served(use_case.name, interval), interval, registry, use_case)
    written = _write(measurements, use_case, found)
    measurements.advance(use_case.name, RIPENED, looked)
    return written


def estimate(
    traffic: TrafficLog, registry: Registry, measurements: Measurements, use_case: UseCase, intervals: Sequence[Interval]
) -> dict[str, Any]:
    """Kind `estimate`: AUC, cost, precision, recall that the calibrated scores expect (`decide.watch.estimate`), and `window`."""
    return _write(measurements, use_case, each_champion(traffic, registry, use_case, intervals, lambda s: _estimate(s, use_case)))


def fairness(
    traffic: TrafficLog, registry: Registry, measurements: Measurements, use_case: UseCase, intervals: Sequence[Interval]
) -> dict[str, Any]:
    """Kind `fairness`: by group column, the largest gap of a group's selection rate to the whole, with all groups' counts."""
    return _write(measurements, use_case, each_champion(traffic, registry, use_case, intervals, lambda s: _fairness(s, use_case)))


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
    return _write(measurements, use_case, found)


def _drift(rows: Scored, use_case: UseCase) -> list[Measurement]:
    columns = rows.reference["columns"]
    counts = {name: drifting.count(column, rows.column(name)) for name, column in columns.items()}
    shifts = {name: shift for name in columns if (shift := drifting.compare(columns[name], counts[name]))}
    score_counts = drifting.count(rows.reference["score"], rows.scores.tolist())
    score = drifting.compare(rows.reference["score"], score_counts)
    verdict = drifting.judge(shifts, score, use_case.drift)
    limit, few = use_case.drift.psi, len(rows.scores) < use_case.drift.minimum_rows
    watched = [shift.psi >= limit for name, shift in shifts.items() if name not in use_case.drift.ignore]
    detail = _window(rows, verdict) | {"unknown_ignored": drifting.unknown_ignored(columns, use_case.drift)}
    found = [rows.measured("drift", WINDOW, float(np.mean(watched or [False])), verdict.outcome, detail)]
    for name, shift in (*shifts.items(), *([("score", score)] if score else [])):
        outcome = Outcome.INCONCLUSIVE if few else Outcome.FAIL if shift.psi >= limit else Outcome.PASS
        numbers = asdict(shift) | {"counts": score_counts if name == "score" else counts[name]}
        found.append(rows.measured("drift", name, shift.psi, outcome, numbers))
    return found


def _performance(rows: Scored, use_case: UseCase) -> list[Measurement]:
    labels, scores = rows.labels[rows.known] > 0.5, rows.scores[rows.known]
    found = performing.measure(labels, scores, rows.decisions[rows.known], use_case.cost)
    verdict = performing.judge(found, rows.reference["metrics"], use_case.retrain, use_case.drift.minimum_rows)
    detail = _window(rows, verdict) | {"labels": len(labels), "unlabelled": len(rows.scores) - len(labels)}
    made = [rows.measured("performance", WINDOW, float(labels.mean()) if len(labels) else None, verdict.outcome, detail)]
    made += _numbers(rows, "performance", found, verdict)
    if len(labels):
        ece = calibration_error(labels, scores)
        made.append(rows.measured("performance", "ece", ece, Outcome.INCONCLUSIVE, {"rows": len(labels)}))
    return made


def _estimate(rows: Scored, use_case: UseCase) -> list[Measurement]:
    expected = estimating.expect(rows.scores, rows.bundle.manifest.threshold, use_case.cost)
    if expected is None:
        return []
    found = {"cost": expected.cost}
    if expected.auc is not None:
        found["auc"] = expected.auc
    verdict = performing.judge(found, rows.reference["metrics"], use_case.retrain, use_case.drift.minimum_rows)
    rate = float(rows.scores.mean())
    made = [rows.measured("estimate", WINDOW, rate, verdict.outcome, _window(rows, verdict))]
    made += _numbers(rows, "estimate", found, verdict)
    for name, value in (("precision", expected.precision), ("recall", expected.recall)):
        made.append(rows.measured("estimate", name, value, Outcome.INCONCLUSIVE, {"rows": expected.rows}))
    return made


def _fairness(rows: Scored, use_case: UseCase) -> list[Measurement]:
    made = []
    for column in use_case.fairness.columns:
        counts = fairly.count([request.get(column) for request in rows.requests], rows.decisions, rows.labels)
        verdict = fairly.judge(column, counts, use_case.fairness)
        gaps = {rate: fairly.gaps(counts, rate, use_case.fairness.minimum) for rate in ("selection", "tpr", "fpr")}
        largest = max((abs(gap.difference) for gap in gaps["selection"]), default=None)
        detail = verdict.to_json() | {
            "groups": {name: asdict(group) for name, group in counts.items()},
            "gaps": {rate: [asdict(gap) for gap in found] for rate, found in gaps.items()},
        }
        made.append(rows.measured("fairness", column, largest, verdict.outcome, detail))
    return made


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


def _numbers(rows: Scored, kind: str, found: Mapping[str, Estimate], verdict: Verdict) -> list[Measurement]:
    """A measurement for each number, with the outcome of the check of its name."""
    outcomes = {reason.check.rpartition(".")[2]: reason.outcome for reason in verdict.reasons}
    return [rows.measured(kind, name, value.value, outcomes[name], asdict(value)) for name, value in found.items()]


def _window(rows: Scored, verdict: Verdict) -> dict[str, Any]:
    """What `wanting` needs to know of the window and its release."""
    manifest = rows.bundle.manifest
    detail = {"because": verdict.because(), "rows": len(rows.scores), "trained_through": manifest.trained_through.isoformat()}
    return verdict.to_json() | detail


def _ripened(
    traffic: TrafficLog, measurements: Measurements, use_case: UseCase, intervals: Sequence[Interval]
) -> tuple[list[Interval], datetime]:
    """The intervals before `intervals` of which labels came or changed since the last look, and until when this look reaches.

    Its cost is that of the outcomes recorded since, however long the history is. The first look finds nothing: all is new.
    """
    since = measurements.cursor(use_case.name, RIPENED)
    starts, looked = traffic.relabelled(use_case.name, since, use_case.start, use_case.interval)
    first = min((interval.start for interval in intervals), default=use_case.start)
    return [Interval(start, start + use_case.interval) for start in starts if start < first], looked


def _write(measurements: Measurements, use_case: UseCase, found: Sequence[Measurement]) -> dict[str, Any]:
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
