"""The past that a model has learnt from, cut into blocks of time: what later windows of any length are held against.

A period of a column, as `reference.json` keeps it, is

    {
      "start": "2013-01-02T00:00:00+00:00", "seconds": 86400,     begin of the first block, width of each
      "cells": [[61, 70, ..., 0, 3], ...],                        by block: rows by bin, unknown, missing
      "outside": [2, ...],                                        by block: rows beyond the fences, where the column has some
      "counted": false                                            where its rows are not among the column's `counts`
    }

Blocks begin at multiples of their width (UTC). The first and the last one of a period are left out, since it may have begun or
ended within them. A year of 30 columns by day takes half a megabyte.

A model is surer of rows that it was fitted to, so scores are counted of the later ones alone. Windows of fitted rows are held
against these like any other: what they differ by counts as ordinary, which errs on the quiet side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.decide.statistics.clusters import DAY
from everloop.decide.watch.sketch import bins, outside
from everloop.learn.examples import PART
from everloop.learn.scoring import Model
from everloop.learn.split import CALIBRATION, FIT, HOLDOUT, LEARNT, VALIDATION

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Moments = npt.NDArray[np.datetime64]
    Floats = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.intp]
    Flags = npt.NDArray[np.bool_]

BLOCKS, CELLS = 1_000, 200_000
"""The newest so many blocks of a column are kept, with no more cells than this together: a rich category keeps a shorter past."""

ASKED = "event_timestamp"

SCORED = 200_000
"""Of each part no more rows than this are scored, evenly over time."""


@dataclass(frozen=True, kw_only=True)
class History:
    """When each row learnt from was asked for (rows,), and the scores that the model gives, in blocks of `width`.

    `scored`: times and scores of the rows that were fitted, then of the later ones, the held-out ones too.
    """

    width: timedelta
    asked: Moments
    scored: tuple[tuple[Moments, Floats], tuple[Moments, Floats]]

    @classmethod
    def of(cls, examples: pa.Table, model: Model, interval: timedelta) -> History:
        """Of labelled rows with their parts, by day, or by `interval` where windows are shorter than that."""
        fitted, later = (_scored(_only(examples, names), model) for names in ((FIT,), (VALIDATION, CALIBRATION, HOLDOUT)))
        asked = _asked(_only(examples.select([PART, ASKED]), LEARNT))
        return cls(width=min(DAY, interval), asked=asked, scored=(fitted, later))

    def periods(self, column: Mapping[str, Any], values: pa.ChunkedArray) -> list[dict[str, Any]]:
        """The one period of a column of the rows learnt from; none where it is too short for a whole block."""
        beyond = outside(column["fences"], numbers(values)) if "fences" in column else None
        return _period(self.asked, places(column, values), len(column["counts"]) + 2, self.width, beyond)

    def score_periods(self, edges: list[float]) -> list[dict[str, Any]]:
        """The periods of the scores, by bins of these edges."""
        (fitted, theirs), (later, counted) = self.scored
        size = len(edges) + 3
        known = _period(fitted, bins(edges, theirs), size, self.width)
        return [one | {"counted": False} for one in known] + _period(later, bins(edges, counted), size, self.width)


def numbers(values: pa.ChunkedArray) -> Floats:
    """A column's numbers as the model sees them, null as NaN."""
    found: Floats = values.cast("float64").to_numpy().astype(np.float32).astype(np.float64)
    return found


def places(column: Mapping[str, Any], values: pa.ChunkedArray) -> Codes:
    """The cell of each value of a reference's `column`: its bin, then one for unknown and one for missing values."""
    size = len(column["counts"])
    if column["kind"] == "category":
        return _category(column["values"], values, size)
    found = numbers(values)
    return np.where(np.isnan(found), size + 1, bins(column["edges"], found))


def _category(known: list[str], values: pa.ChunkedArray, size: int) -> Codes:
    import pyarrow as pa
    import pyarrow.compute as pc

    codes = pc.index_in(values.cast("string"), value_set=pa.array(known, pa.string()), skip_nulls=True)
    found: Codes = pc.if_else(pc.is_null(values), size + 1, pc.fill_null(codes, size)).to_numpy().astype(np.intp)
    return found


def _period(asked: Moments, cells: Codes, size: int, width: timedelta, beyond: Flags | None = None) -> list[dict[str, Any]]:
    if not len(asked):
        return []
    step = width // timedelta(microseconds=1)
    block = asked.astype("datetime64[us]").astype(np.int64) // step
    last = int(block.max())
    first = max(int(block.min()) + 1, last - min(BLOCKS, CELLS // size))
    if last <= first:
        return []
    inside = (block >= first) & (block < last)
    place = block[inside] - first
    counts = np.bincount(place * size + cells[inside], minlength=(last - first) * size).reshape(-1, size)
    start = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=first * step)
    found = {"start": start.isoformat(), "seconds": width.total_seconds(), "cells": counts.tolist()}
    if beyond is not None:
        found["outside"] = np.bincount(place, weights=beyond[inside], minlength=last - first).astype(int).tolist()
    return [found]


def _only(examples: pa.Table, names: tuple[str, ...]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    return examples.filter(pc.is_in(examples[PART], value_set=pa.array(names)))


def _asked(rows: pa.Table) -> Moments:
    import pyarrow as pa

    found: Moments = rows[ASKED].cast(pa.timestamp("us", "UTC")).to_numpy()
    return found


def _scored(rows: pa.Table, model: Model) -> tuple[Moments, Floats]:
    chosen = rows.take(np.arange(0, rows.num_rows, max(1, -(-rows.num_rows // SCORED))))
    return _asked(chosen), model.score(model.encoder.table(chosen))
