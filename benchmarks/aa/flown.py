"""The flights of 2013 as traffic: who asks, when, what is missing, what three equally good models say, and what happened."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Moments = npt.NDArray[np.datetime64]

RING = timedelta(days=364)
"""52 whole weeks, after which the year begins again: a rollout may begin in any of them, and weekdays stay where they are."""
WEEK, WEEKS = timedelta(days=7), 52
BEGIN = datetime(2013, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Flown:
    """Arrays of all flights (n,) in the order of asking. `asked`, `known`: when, and when its label was known, UTC.

    `entity`: codes of `entities`; `missing`: codes of `patterns`, each a combination of absent views, joined by commas;
    `scores` (models, n): of models that differ by their seed alone.
    """

    asked: Moments
    known: Moments
    label: Floats
    entity: Codes
    entities: npt.NDArray[np.str_]
    missing: Codes
    patterns: npt.NDArray[np.str_]
    origin: npt.NDArray[np.str_]
    scores: Floats
    views: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.asked)

    def window(self, start: datetime, length: timedelta) -> tuple[Codes, npt.NDArray[np.timedelta64]]:
        """The rows asked for in `[start, start + length)` of the year without end, and by how much each is later than in 2013."""
        rows = np.arange(self._place(start), self._place(start + length))
        return rows % len(self), (rows // len(self)) * np.timedelta64(RING, "us")

    def _place(self, at: datetime) -> int:
        """How many rows are asked for before `at`, counted from the first begin of the year."""
        lap, rest = divmod(at - BEGIN, RING)
        return lap * len(self) + int(np.searchsorted(self.asked, np.datetime64((BEGIN + rest).replace(tzinfo=None), "us")))

    def keep(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **{field.name: getattr(self, field.name) for field in fields(self)})  # type: ignore[arg-type]
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> Flown:
        """What `keep` wrote."""
        with np.load(path) as found:
            return cls(**{field.name: found[field.name] for field in fields(cls)})
