"""What labels say of an interval: how well the release does, whether they still follow its scores, how frequent they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from everloop.decide.statistics.calibration import calibration_error
from everloop.decide.statistics.clusters import Clusters, Codes, Likeness, blocks
from everloop.decide.verdict import Outcome
from everloop.decide.watch import concept
from everloop.decide.watch import drift as drifting
from everloop.decide.watch import performance as performing
from everloop.interval import Interval
from everloop.ports import Measurement, Measurements, Registry, TrafficLog
from everloop.steps.monitor.measuring import WINDOW, each, window, write
from everloop.steps.monitor.paired import paired
from everloop.steps.monitor.ripened import ripened
from everloop.steps.monitor.served import Scored, each_champion
from everloop.use_case import UseCase

RIPENED = "monitor:ripened"
"""The cursor (the prediction log's clock) of the outcomes that the measured performance knows of."""


def performance(
    traffic: TrafficLog, registry: Registry, measurements: Measurements, use_case: UseCase, intervals: Sequence[Interval]
) -> dict[str, Any]:
    """All that labels say.

    Kind `performance`: `auc`, `cost`, `precision`, `recall`, `f1`, `ece`, `window`, and both arms paired on the same rows.
    Kind `concept`: `bias`, `error` and `window`, whether the relation of inputs and label moved (`decide.watch.concept`).
    Kind `drift`, subject `label`: whether their rate did.

    Earlier intervals of which labels came or were corrected since they were measured are measured again.
    """
    again, looked = ripened(traffic, measurements, use_case, intervals, RIPENED)
    found = each_champion(traffic, registry, use_case, [*again, *intervals], lambda s: _labelled(s, use_case))
    for interval in (*again, *intervals):
        found += paired(traffic.served(use_case.name, interval), interval, registry, use_case)
    written = write(measurements, use_case, found)
    measurements.advance(use_case.name, RIPENED, looked)
    return written


def _labelled(rows: Scored, use_case: UseCase) -> list[Measurement]:
    return [*_performance(rows, use_case), *_relation(rows, use_case), *_rate(rows, use_case)]


def _performance(rows: Scored, use_case: UseCase) -> list[Measurement]:
    labels, scores = rows.labels[rows.known] > 0.5, rows.scores[rows.known]
    found = performing.measure(labels, scores, rows.decisions[rows.known], use_case.cost, _blocks(rows, use_case), _alike(rows))
    verdict = performing.judge(found, rows.reference["metrics"], use_case.retrain, use_case.drift.minimum_rows)
    detail = window(rows, verdict) | {"labels": len(labels), "unlabelled": len(rows.scores) - len(labels)}
    made = [rows.measured("performance", WINDOW, float(labels.mean()) if len(labels) else None, verdict.outcome, detail)]
    made += each(rows, "performance", found, verdict)
    if len(labels):
        ece = calibration_error(labels, scores)
        made.append(rows.measured("performance", "ece", ece, Outcome.INCONCLUSIVE, {"rows": len(labels)}))
    return made


def _relation(rows: Scored, use_case: UseCase) -> list[Measurement]:
    """The residuals stay with the window's row, so windows may be merged later without their rows."""
    labels, scores = rows.labels[rows.known] > 0.5, rows.scores[rows.known]
    sketch = concept.residuals(rows.reference["score"]["edges"], labels, scores, _blocks(rows, use_case))
    relation = concept.measure(sketch, rows.reference["score"].get("residuals"))
    verdict = concept.judge(relation, use_case.drift)
    detail = window(rows, verdict) | {"labels": len(labels), "residuals": sketch}
    if relation is None:
        return [rows.measured("concept", WINDOW, None, verdict.outcome, detail)]
    detail |= {"bins": [asdict(one) if one else None for one in relation.bins]}
    found = {"bias": relation.bias, "error": relation.error}
    return [
        rows.measured("concept", WINDOW, relation.error.value, verdict.outcome, detail),
        *each(rows, "concept", found, verdict),
    ]


def _blocks(rows: Scored, use_case: UseCase) -> Codes:
    """The block of time of each labelled row."""
    return blocks(rows.asked[rows.known], use_case.gate.block)


def _alike(rows: Scored) -> dict[str, Likeness]:
    """How alike held-out rows of one block were; nothing for a release from before that was kept."""
    return {name: Likeness(**found) for name, found in rows.reference.get("alike", {}).items()}


def _rate(rows: Scored, use_case: UseCase) -> list[Measurement]:
    labels = rows.labels[rows.known] > 0.5
    shift = drifting.compare_labels(rows.reference, Clusters.counted(_blocks(rows, use_case), labels))
    if shift is None:
        return []
    reason = drifting.judge_labels(shift, use_case.drift)
    detail = {"rows": len(labels), **asdict(shift), "because": reason.text}
    return [rows.measured("drift", "label", shift.rate, reason.outcome, detail)]
