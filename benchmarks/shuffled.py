"""How often drift is told of the real year's rows when their order is drawn by lot, so that nothing has moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.flights_year import Scores, Trained2013, Year
from everloop.decide.policy import DriftPolicy
from everloop.decide.statistics.clusters import Clusters
from everloop.decide.verdict import Outcome
from everloop.decide.watch import drift
from everloop.decide.watch.shift import compare
from everloop.decide.watch.sketch import bins, outside
from everloop.interval import Interval
from everloop.learn.history import numbers, places
from everloop.learn.reference import describe

Codes = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

SCORE = "score"
BLOCK = timedelta(days=1)
WINDOW = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 1, tzinfo=UTC) + BLOCK)
"""An order drawn by lot has no time: it is told as if each window were a day."""


@dataclass
class Alarms:
    """Windows of `size` rows, and how many of them, of their columns and of their label rates were told to have moved."""

    size: int
    windows: int = 0
    drifted: int = 0
    labels: int = 0
    columns: int = 0
    columns_moved: dict[str, int] = field(default_factory=dict)

    def add(self, other: Alarms) -> None:
        """The windows of both."""
        for name in ("windows", "drifted", "labels", "columns"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, count in other.columns_moved.items():
            self.columns_moved[name] = self.columns_moved.get(name, 0) + count


@dataclass(frozen=True)
class Binned:
    """Every row's place among the cells of each column: bins, then unknown, then missing. `columns`: the bins without counts.

    `outside`: which rows lie beyond the fences, of the columns that have some.
    """

    columns: Mapping[str, Mapping[str, Any]]
    codes: Mapping[str, Codes]
    outside: Mapping[str, Flags]
    labels: Flags

    @classmethod
    def of(cls, year: Year, model: Trained2013, scores: Scores, seed: int) -> Binned:
        """The bins are those that a reference of as many rows as the model's would have, of rows drawn by lot."""
        chosen = np.random.default_rng(seed).permutation(len(scores))[: model.reference["rows"]]
        rows, categories = year.rows.take(pa.array(chosen)), model.model.encoder.categories
        columns = list(model.reference["columns"])
        told = describe(rows, columns, categories, year.labels[chosen], year.labels[chosen], scores[chosen], {})
        found = {**told["columns"], SCORE: {"kind": "numeric", **told[SCORE]}}
        codes = {name: places(found[name], year.rows[name]) for name in columns}
        fenced = {name: column["fences"] for name, column in found.items() if "fences" in column}
        beyond = {name: outside(fences, numbers(year.rows[name])) for name, fences in fenced.items()}
        return cls(found, codes | {SCORE: bins(found[SCORE]["edges"], scores)}, beyond, year.labels)

    def counts(self, name: str, rows: Codes) -> dict[str, Any]:
        """The counts of one column in these rows, as `sketch.count` gives them."""
        size = len(self.columns[name]["counts"])
        found = np.bincount(self.codes[name][rows], minlength=size + 2).tolist()
        beyond = {"outside": int(self.outside[name][rows].sum())} if name in self.outside else {}
        return {"counts": found[:size], "other": found[size], "missing": found[size + 1], **beyond}

    def period(self, name: str, rows: Codes, size: int) -> dict[str, Any]:
        """As a reference keeps the past of one column, a block for each `size` rows, the last one just before `WINDOW`."""
        parts = [self.counts(name, rows[end - size : end]) for end in range(len(rows) % size + size, len(rows) + 1, size)]
        cells = [[*part["counts"], part["other"], part["missing"]] for part in parts]
        past = {"start": (WINDOW.start - len(parts) * BLOCK).isoformat(), "seconds": BLOCK.total_seconds(), "cells": cells}
        return past | ({"outside": [part["outside"] for part in parts]} if name in self.outside else {})


def alarms(binned: Binned, size: int, reference: int, policy: DriftPolicy, repetitions: int, seed: int) -> Alarms:
    """All windows of `size` rows of every order, each order with a reference of its own first `reference` rows."""
    rng, total = np.random.default_rng(seed), Alarms(size)
    for _ in range(repetitions):
        order = rng.permutation(len(binned.labels))
        before, after = order[:reference], order[reference:]
        learnt = {
            name: {**column, **binned.counts(name, before), "periods": [binned.period(name, before, size)]}
            for name, column in binned.columns.items()
        }
        alone = Clusters.independent(reference, int(binned.labels[before].sum()))
        rates = {"rows": reference, "label_rate": alone.rate, "labels": asdict(alone)}
        for start in range(0, len(after) - size + 1, size):
            total.add(_window(binned, learnt, rates, after[start : start + size], policy))
    return total


def _window(
    binned: Binned, learnt: Mapping[str, Mapping[str, Any]], rates: Mapping[str, Any], rows: Codes, policy: DriftPolicy
) -> Alarms:
    compared = {name: compare(learnt[name], binned.counts(name, rows), WINDOW, policy.minimum_rows) for name in learnt}
    shifts = {name: shift for name, shift in compared.items() if shift}
    score = shifts.pop(SCORE)
    labels = Clusters.independent(len(rows), int(binned.labels[rows].sum()))
    label = drift.judge_labels(drift.compare_labels(rates, labels), policy)
    level = drift.column_level(shifts, policy)
    moved = [name for name, shift in shifts.items() if shift.moved(policy, level)]
    moved += [SCORE] if score.moved(policy, drift.score_level(policy)) else []
    return Alarms(
        size=len(rows),
        windows=1,
        drifted=drift.judge(shifts, score, policy).outcome is Outcome.FAIL,
        labels=label.outcome is Outcome.FAIL,
        columns=len(shifts) + 1,
        columns_moved=dict.fromkeys(moved, 1),
    )
