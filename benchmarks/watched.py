"""What the monitor's decisions say of a window of the real year, from its rows alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pyarrow as pa

from benchmarks.effect_sizes import as_it_was, held_out
from benchmarks.flights_year import Scores, Trained2013, Year
from everloop.decide.statistics.clusters import Clusters, Likeness, blocks
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason, Verdict
from everloop.decide.watch import concept, drift, performance, sketch
from everloop.decide.watch.concept import Relation, Residuals
from everloop.decide.watch.drift import LabelShift
from everloop.decide.watch.shift import Shift, compare
from everloop.interval import Interval


@dataclass(frozen=True, kw_only=True)
class Watched:
    """One window: what moved, and once labels are there how they lie to the scores and what the decisions were worth.

    `before`: what was said of drift before releases kept what ordinary windows show.
    """

    window: Interval
    rows: int
    shifts: Mapping[str, Shift]
    score: Shift
    drift: Verdict
    before: Verdict
    strangers: Mapping[str, float]
    label: LabelShift
    label_reason: Reason
    residuals: Residuals
    relation: Relation
    concept: Verdict
    found: Mapping[str, Estimate]
    performance: Verdict

    @property
    def failed(self) -> tuple[str, ...]:
        """What failed: `drift`, `before`, `label`, `concept`, `performance`."""
        outcomes = {
            "before": self.before.outcome,
            "drift": self.drift.outcome,
            "label": self.label_reason.outcome,
            "concept": self.concept.outcome,
            "performance": self.performance.outcome,
        }
        return tuple(name for name, outcome in outcomes.items() if outcome is Outcome.FAIL)


def watch(year: Year, model: Trained2013, scores: Scores, window: Interval) -> Watched:
    """The window's rows against the model's reference; `scores` are those of all the year's rows (n,)."""
    mask, case = year.between(window.start, window.end), year.case
    labels, given = year.labels[mask], scores[mask]
    rows, least = year.rows.filter(pa.array(mask)), case.drift.minimum_rows
    columns = model.reference["columns"].items()
    shifts = {name: shift(column, rows[name].to_pylist(), window, least) for name, column in columns}
    score = shift(model.reference["score"], given.tolist(), window, least)
    days = blocks(year.asked[mask], case.gate.block)
    label = drift.compare_labels(model.reference, Clusters.counted(days, labels))
    residuals = concept.residuals(model.reference["score"]["edges"], labels, given, days)
    relation = concept.measure(residuals, model.reference["score"]["residuals"])
    if label is None or relation is None:
        raise ValueError(f"{window.label} has no labelled rows: choose windows that have some")
    alike = {name: Likeness(**found) for name, found in model.reference["alike"].items()}
    found = performance.measure(labels, given, given >= model.threshold, case.cost, days, alike)
    return Watched(
        window=window,
        rows=len(labels),
        shifts=shifts,
        score=score,
        drift=drift.judge(shifts, score, case.drift),
        before=as_it_was(shifts, shift(held_out(model.reference), given.tolist()), listed=True),
        strangers=drift.strangers(shifts, case.drift),
        label=label,
        label_reason=drift.judge_labels(label, case.drift),
        residuals=residuals,
        relation=relation,
        concept=concept.judge(relation, case.drift),
        found=found,
        performance=performance.judge(found, model.metrics, case.retrain, case.drift.minimum_rows),
    )


def shift(column: Mapping[str, object], values: Sequence[object], window: Interval | None = None, least: int = 1) -> Shift:
    """The shift of values, of which there must be some."""
    found = compare(column, sketch.count(column, values), window, least)
    if found is None:
        raise ValueError("no value to compare: choose a window that has rows")
    return found


def months(year: int, first: int, last: int) -> list[Interval]:
    """The calendar months, UTC, the last one too."""
    starts = [datetime(year + (each - 1) // 12, (each - 1) % 12 + 1, 1, tzinfo=UTC) for each in range(first, last + 2)]
    return [Interval(start, end) for start, end in pairwise(starts)]


def spans(first: datetime, end: datetime, length: timedelta) -> list[Interval]:
    """Windows of one length from `first` on, whole ones only."""
    return [Interval(first + i * length, first + (i + 1) * length) for i in range((end - first) // length)]
