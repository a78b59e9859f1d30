"""Inputs and scores of an interval against what the release learnt from: a row for each column, the score and the window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from everloop.decide.verdict import Outcome
from everloop.decide.watch import drift as drifting
from everloop.decide.watch.drift import Shift
from everloop.decide.watch.sketch import count
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
    shifts = {name: shift for name in columns if (shift := drifting.compare(columns[name], counts[name]))}
    counts["score"] = count(rows.reference["score"], rows.scores.tolist())
    score = drifting.compare(rows.reference["score"], counts["score"])
    verdict = drifting.judge(shifts, score, policy)
    detail = window(rows, verdict) | {
        "unknown_ignored": drifting.unknown_ignored(columns, policy),
        "strangers": drifting.strangers(shifts, policy),
    }
    found = [rows.measured("drift", WINDOW, drifting.moved_share(shifts, policy), verdict.outcome, detail)]
    for name, shift in (*shifts.items(), *([("score", score)] if score else [])):
        outcome, beyond = _outcome(shift, use_case), shift.beyond(policy)
        numbers = asdict(shift) | {"counts": counts[name], "beyond": beyond}
        found.append(rows.measured("drift", name, shift.psi, outcome, numbers))
    return found


def _outcome(shift: Shift, use_case: UseCase) -> Outcome:
    if shift.rows < use_case.drift.minimum_rows:
        return Outcome.INCONCLUSIVE
    return Outcome.FAIL if shift.beyond(use_case.drift) else Outcome.PASS
