"""The flights as traffic, made of the real year and three models once, and kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks import flights_year, world
from benchmarks.aa.flown import Codes, Flown
from benchmarks.flights_year import Flags, Year, moment

CUT, SEEDS = datetime(2013, 4, 1, tzinfo=UTC), (7, 8, 9)
"""All models learn of the labels known by then, as the demo's first one; the first seed is the use case's own."""

LEARNT = datetime(2013, 1, 29, tzinfo=UTC)
"""From here on every view has the four weeks of history that its features look back on."""


def prepared() -> Path:
    """The file of `Flown`, made when it is not there yet (two minutes)."""
    path = world.KEPT / f"aa_flown_{'_'.join(map(str, SEEDS))}.npz"
    if not path.exists():
        _flown(flights_year.load()).keep(path)
    return path


def _flown(year: Year) -> Flown:
    fits = [flights_year.fit(year, CUT, replace(year.case.training, seed=seed)) for seed in SEEDS]
    entities, entity = np.unique(_joined(year), return_inverse=True)
    views = _views(year)
    absent = np.column_stack([_absent(year, columns) for columns in views.values()])
    absent = _with_a_past(absent, entity, year.asked >= moment(LEARNT))
    told, missing = np.unique(absent, axis=0, return_inverse=True)
    return Flown(
        asked=year.asked,
        known=year.known,
        label=year.labels.astype(float),
        entity=entity,
        entities=entities,
        missing=missing.ravel(),
        patterns=np.array([",".join(view for view, gone in zip(views, row, strict=True) if gone) for row in told]),
        origin=np.array(year.rows["origin"].to_pylist()),
        scores=np.stack([fit.score(year) for fit in fits]),
        views=np.array([*views]),
    )


def _with_a_past(absent: Flags, entity: Codes, learnt: Flags) -> Flags:
    """What is absent of each row, (n, views), as if the data had not begun with it: a row before that lacks what its entity's
    first one after it lacks, and where there is none what the row itself lacks of views without a past.

    The first weeks lack nearly every view since there is no year before; going round, they would be an outage of all views.
    """
    found, later = absent.copy(), np.flatnonzero(learnt)
    entities, first = np.unique(entity[later], return_index=True)
    example = np.full(entity.max() + 1, -1)
    example[entities] = later[first]
    known = ~learnt & (example[entity] >= 0)
    found[known] = absent[example[entity[known]]]
    return found


def _joined(year: Year) -> np.ndarray:
    """The entity of each row, as the scorer writes it."""
    fields = [year.rows[name].to_pylist() for name in year.case.entity]
    return np.array(["|".join(map(str, values)) for values in zip(*fields, strict=True)])


def _views(year: Year) -> dict[str, list[str]]:
    """The feature columns of each view that is read from the online store; the schedule is computed from the request."""
    found: dict[str, list[str]] = {}
    for column in year.columns:
        view, _, feature = column.partition("__")
        if feature and view != "schedule":
            found.setdefault(view, []).append(column)
    return found


def _absent(year: Year, columns: list[str]) -> np.ndarray:
    """Whether a view gave nothing: all of its features are null."""
    return np.logical_and.reduce([year.rows[column].is_null().to_numpy() for column in columns])
