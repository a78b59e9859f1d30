"""Inputs and scores of an interval against what the release learnt from: a row for each column, the score and the window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from everloop.decide.policy import DriftPolicy
from everloop.decide.verdict import Outcome
from everloop.decide.watch import drift as drifting
from everloop.decide.watch.shift import Shift, compare
from everloop.decide.watch.sketch import Counts, count
from everloop.interval import Interval
from everloop.ports import Measurement, Measurements, Registry, TrafficLog
from everloop.steps.monitor.measuring import WINDOW, window, write
from everloop.steps.monitor.served import Scored, each_champion
from everloop.use_case import UseCase


def drift(
    traffic: TrafficLog, registry: Registry, measurements: Measurements, use_case: UseCase, intervals: Sequence[Interval]
) -> dict[str, Any]:
    """Kind `drift`: PSI by model input and of the score, the other measures beside it, and `window`: the share that moved.

    The counts stay with each row, so windows may be merged later without their rows.
    """
    return write(measurements, use_case, each_champion(traffic, registry, use_case, intervals, lambda s: _measure(s, use_case)))


def _measure(rows: Scored, use_case: UseCase) -> list[Measurement]:
    columns, policy = rows.reference["columns"], use_case.drift
    counts = {name: count(column, rows.column(name)) for name, column in columns.items()}
    shifts = {name: shift for name in columns if (shift := _compare(rows, columns[name], counts[name], policy))}
    counts["score"] = count(rows.reference["score"], rows.current.tolist())
    score = _compare(rows, rows.reference["score"], counts["score"], policy)
    verdict = drifting.judge(shifts, score, policy)
    detail = window(rows, verdict) | {
        "unknown_ignored": drifting.unknown_ignored(columns, policy),
        "strangers": drifting.strangers(shifts, policy),
    }
    found = [rows.measured("drift", WINDOW, drifting.moved_share(shifts, policy), verdict.outcome, detail)]
    level = drifting.column_level(shifts, policy)
    found += [_measured(rows, name, shift, counts[name], policy, level) for name, shift in shifts.items()]
    if score:
        found.append(_measured(rows, "score", score, counts["score"], policy, drifting.score_level(policy)))
    return found


def _compare(rows: Scored, column: Mapping[str, Any], counts: Counts, policy: DriftPolicy) -> Shift | None:
    return compare(column, counts, rows.interval, policy.minimum_rows)


def _measured(rows: Scored, name: str, shift: Shift, counts: Counts, policy: DriftPolicy, level: float) -> Measurement:
    """One subject, with the measures by which it moved and up to where ordinary windows go."""
    moved, usual = shift.moved(policy, level), shift.usual(policy, level)
    judged = Outcome.FAIL if moved else Outcome.PASS
    outcome = judged if shift.rows >= policy.minimum_rows else Outcome.INCONCLUSIVE
    numbers = asdict(replace(shift, ordinary=None)) | {"counts": counts, "beyond": moved, "ordinary": usual}
    return rows.measured("drift", name, shift.psi, outcome, numbers | {"because": shift.told(policy, level)})
