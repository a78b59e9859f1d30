"""The measures of drift between two sets of counts over the same bins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from everloop.decide.policy import DriftPolicy
from everloop.decide.watch import distances
from everloop.decide.watch.distances import Cells
from everloop.decide.watch.sketch import cells

DISTANCES = ("psi", "jensen_shannon", "wasserstein")
RATES = ("missing_rate", "unknown_rate", "outside_rate")
MEASURES = (*DISTANCES, *RATES)


@dataclass(frozen=True, eq=False)
class Counted:
    """Rows by cell: bins, unknown, missing (`sketch.cells`), and how many of them lie outside of the reference's fences."""

    cells: Cells
    outside: float = 0.0

    @classmethod
    def of(cls, counts: Mapping[str, Any]) -> Counted:
        """Of a window's counts, or of a reference's column."""
        return cls(cells(counts), float(counts.get("outside", 0)))

    def without(self, other: Counted) -> Counted:
        """These rows but for those of `other`, which are among them."""
        return Counted(self.cells - other.cells, self.outside - other.outside)

    @property
    def rows(self) -> int:
        """All of them."""
        return int(self.cells.sum())

    @property
    def rates(self) -> dict[str, float]:
        """The share of missing and of unknown values, and of those beyond the fences."""
        unknown, missing = self.cells[-2:]
        counts = {"missing_rate": missing, "unknown_rate": unknown, "outside_rate": self.outside}
        return {name: float(count / self.rows) for name, count in counts.items()}


def measured(column: Mapping[str, Any], before: Counted, after: Counted) -> dict[str, float]:
    """Each measure that `column` has, of `after` against `before`, both of which hold a row; of the rates, those of `after`.

    A column has no area without two cut points, no unknown values unless it is a category, none outside without fences, and no
    missing ones if its reference does not count them.
    """
    found = {
        "psi": distances.stability(before.cells, after.cells),
        "jensen_shannon": distances.jensen_shannon(before.cells, after.cells),
    }
    area = _area(column, before.cells, after.cells)
    if area is not None:
        found["wasserstein"] = area
    keeps = {"missing_rate": "missing", "unknown_rate": "other", "outside_rate": "fences"}
    return found | {name: rate for name, rate in after.rates.items() if keeps[name] in column}


def limits(policy: DriftPolicy) -> dict[str, float]:
    """The limits that are set, by measure."""
    return {name: value for name in MEASURES if (value := getattr(policy, name)) is not None}


def _area(column: Mapping[str, Any], before: Cells, after: Cells) -> float | None:
    if "edges" not in column:
        return None
    bins = len(column["edges"]) + 1
    return distances.wasserstein(np.asarray(column["edges"]), before[:bins], after[:bins])
