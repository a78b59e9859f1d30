"""What the stored rows of one view count for in many rows at once: `Judge.status`, and the values, by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from everloop.adapters.features.stores.judged import ABSENT, EARLY, STALE, Stored
from everloop.kinds import ARROW_TYPES
from everloop.release import ViewPlan
from everloop.serve.columns.entities import Places
from everloop.serve.columns.moments import Moments, microseconds


@dataclass(frozen=True)
class Judged:
    """By `<view>__<feature>` a value a row, null where the stored row is not fresh; by status, but `fresh`, the rows."""

    columns: Mapping[str, pa.Array]
    rows: Mapping[str, list[int]]


class ColumnJudge:
    """One view's rule for many rows. A stored row is looked at once, however many rows are of its entity."""

    def __init__(self, view: ViewPlan) -> None:
        self._kinds = {f"{view.name}__{feature}": ARROW_TYPES[kind] for feature, kind in view.features.items()}
        ttl = view.ttl_seconds
        self._ttl = None if ttl is None else timedelta(seconds=ttl) // timedelta(microseconds=1)

    def of(self, stored: Sequence[Stored | None], places: Places, as_of: Sequence[datetime]) -> Judged:
        """What is `stored` for each row's entity, which stands at its place, counts for at the row's moment."""
        asked = Moments.of(as_of).microseconds
        if self._all_fresh(stored, int(asked.min()), int(asked.max())):
            return Judged(self._values(stored, places), {})
        wrong = self._wrong(stored, places, asked)
        found = np.where(np.logical_or.reduce(list(wrong.values())), len(stored), places)
        return Judged(self._values(stored, found), {status: np.flatnonzero(rows).tolist() for status, rows in wrong.items()})

    def _all_fresh(self, stored: Sequence[Stored | None], first: int, last: int) -> bool:
        """Whether every stored row is fresh at all moments from `first` to `last`: nearly always, and seen by its ends."""
        known = [one for one in stored if one is not None]
        if len(known) < len(stored):
            return False
        events = [one[0] for one in known]
        newest = max(max(events), max(one[1] for one in known))
        return microseconds(newest) <= first and (self._ttl is None or microseconds(min(events)) >= last - self._ttl)

    def _wrong(self, stored: Sequence[Stored | None], places: Places, as_of: Places) -> dict[str, npt.NDArray[np.bool_]]:
        absent = np.array([one is None for one in stored])[places]
        events = [(0, 0) if one is None else (microseconds(one[0]), microseconds(one[1])) for one in stored]
        event, created = np.array(events, dtype=np.int64)[places].T
        early = ~absent & ((event > as_of) | (created > as_of))
        stale = ~absent & ~early & (event < as_of - self._ttl) if self._ttl is not None else np.zeros_like(absent)
        return {ABSENT: absent, EARLY: early, STALE: stale}

    def _values(self, stored: Sequence[Stored | None], places: Places) -> dict[str, pa.Array]:
        nothing = (None,) * len(self._kinds)
        rows = [nothing if one is None else one[2] for one in stored]
        taken = pa.array(places)
        columns = zip(self._kinds.items(), zip(*rows, nothing, strict=True), strict=True)
        return {name: pa.array(values, kind).take(taken) for (name, kind), values in columns}
