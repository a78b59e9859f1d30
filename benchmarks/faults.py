"""Faults of a feed, made in ordinary weeks of the real year: whether drift tells them now, and told them before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.effect_sizes import as_it_was, before
from benchmarks.flights_year import Trained2013, Year
from benchmarks.ordinary import without
from everloop.decide.verdict import Outcome
from everloop.decide.watch import drift
from everloop.decide.watch.shift import Shift, compare
from everloop.decide.watch.sketch import count
from everloop.interval import Interval

Change = Callable[[pa.ChunkedArray], pa.ChunkedArray]


@dataclass(frozen=True)
class Fault:
    """What happens to each input whose name begins so."""

    begins: tuple[str, ...]
    change: Change

    def columns(self, year: Year) -> list[str]:
        """The inputs that it changes."""
        return [name for name in year.columns if name.startswith(self.begins)]


FAULTS: Mapping[str, Fault] = {
    "the weather is away": Fault(("weather_hourly__",), lambda values: pc.if_else(False, values, None)),
    "temperatures come in Celsius": Fault(
        ("weather_hourly__temp", "weather_hourly__dewp"), lambda values: pc.divide(pc.subtract(values, 32), 1.8)
    ),
    "distances come in kilometres": Fault(("schedule__distance",), lambda values: pc.multiply(values, 1.609)),
    "delays are counted twice": Fault(
        ("carrier_delay__rate", "origin_delay__rate", "route_delay__rate", "aircraft_delay__rate"),
        lambda values: pc.multiply(values, 2),
    ),
    "a clock is six hours ahead": Fault(
        ("schedule__departure", "schedule__arrival"),
        lambda values: pa.chunked_array([np.mod(values.cast("float64").to_numpy() + 360, 1440)]),
    ),
}


@dataclass(frozen=True)
class Told:
    """Of so many weeks with a fault: in how many the verdict failed, and the share of the changed inputs that were told."""

    weeks: int
    failed: int
    failed_before: int
    inputs: float
    inputs_before: float


def told(year: Year, models: Sequence[tuple[Trained2013, Sequence[Interval]]], fault: Fault) -> Told:
    """Each model is held against windows that it has learnt from, as if it had not, with the fault made in them."""
    columns = fault.columns(year)
    found = [_told(year, model, window, fault, columns) for model, windows in models for window in windows]
    failed, failed_before, inputs, inputs_before = (np.array(each, dtype=float) for each in zip(*found, strict=True))
    return Told(len(found), int(failed.sum()), int(failed_before.sum()), float(inputs.mean()), float(inputs_before.mean()))


def _told(
    year: Year, model: Trained2013, window: Interval, fault: Fault, columns: Sequence[str]
) -> tuple[bool, bool, float, float]:
    rows, policy = year.rows.filter(pa.array(year.between(window.start, window.end))), year.case.drift
    for name in columns:
        rows = rows.set_column(rows.column_names.index(name), name, fault.change(rows[name]))
    scores = model.model.score(model.model.encoder.table(rows))
    values = {name: rows[name].to_pylist() for name in model.reference["columns"]}
    shifts = {
        name: _shift(model.reference["columns"][name], given, window, policy.minimum_rows) for name, given in values.items()
    }
    score = _shift(model.reference["score"], scores.tolist(), window, policy.minimum_rows)
    level = drift.column_level(shifts, policy)
    return (
        drift.judge(shifts, score, policy).outcome is Outcome.FAIL,
        as_it_was(shifts, score, listed=True).outcome is Outcome.FAIL,
        float(np.mean([bool(shifts[name].moved(policy, level)) for name in columns])),
        float(np.mean([bool(shifts[name].beyond(before(listed=False))) for name in columns])),
    )


def _shift(column: Mapping[str, object], values: Sequence[object], window: Interval, least: int) -> Shift:
    rest, _ = without(column, window)
    found = compare(rest, count(rest, values), window, least)
    if found is None:
        raise ValueError(f"{window} holds no row: choose windows within what was learnt from")
    return found
