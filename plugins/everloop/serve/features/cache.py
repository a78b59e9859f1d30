"""The rows of one view that were read a moment ago, so that the entities in demand cost no round trip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from everloop.adapters.features.stores.judged import ABSENT, EARLY, STALE, Judge, Stored
from everloop.flags import FRESH, flag_of
from everloop.release import ViewPlan
from everloop.serve.block import FEW, plain
from everloop.serve.features.look import Key, Look

if TYPE_CHECKING:
    from everloop.serve.columns.entities import Places
    from everloop.serve.columns.judging import ColumnJudge

MAXIMUM = 100_000
"""Entities of a view that are kept (ours: about 30 MB a view of ten numbers); beyond it the ones read longest ago go first."""


class ViewCache:
    """Stored rows by entity, each with the moment (monotonic seconds) until which it need not be read again.

    Absent rows are kept too: an entity without features is asked for as often as any other. What is past its moment stays,
    for when the store does not answer.
    """

    def __init__(self, view: ViewPlan, maximum: int = MAXIMUM) -> None:
        self.name = view.name
        self._view = view
        self._judge = Judge(view)
        self.columns = self._judge.columns
        self.keys = tuple(view.join_keys)
        self._flags = {status: (flag_of(status, view.name),) for status in (ABSENT, STALE, EARLY)}
        self._maximum = maximum
        self.epoch = 0
        """Counts `forget`: what was asked of the store before one must not be kept after it."""
        self._rows: dict[Key, tuple[float, Stored | None]] = {}

    def look_of(self, request: Mapping[str, Any], now: float, soon: float) -> Look:
        """What is known of the entities of a request's rows: see `look`. Of rows by column, once an entity."""
        columns = [request[name] for name in self.keys]
        if type(columns[0]) is list:
            return self.look(list(zip(*map(plain, columns), strict=True)), now, soon)
        from everloop.serve.columns.entities import distinct

        entities, places = distinct(columns)
        look = self.look(entities, now, soon)
        look.places = places
        return look

    def look(self, keys: Sequence[Key], now: float, soon: float) -> Look:
        """What is known of these entities, and which are due before `soon`.

        One without a join key has no row anywhere, which nobody need be asked.
        """
        if len(keys) > FEW and (known := self._known(keys, now, soon)) is not None:
            return known
        look = Look(keys, [], [], [], [])
        for i, key in enumerate(keys):
            kept = self._rows.get(key)
            if kept is not None and kept[0] >= now:
                look.stored.append(kept[1])
                if kept[0] < soon:
                    look.due.append(i)
                continue
            look.stored.append(kept and kept[1])
            if None not in key:
                look.lacking.append(i)
                if kept is None:
                    look.unknown.append(i)
        return look

    def _known(self, keys: Sequence[Key], now: float, soon: float) -> Look | None:
        """What is known when none has to be read."""
        kept = [self._rows.get(key) for key in keys]
        known = [one for one in kept if one is not None and one[0] >= now]
        if len(known) < len(kept):
            return None
        return Look(keys, [one[1] for one in known], [], [], [i for i, one in enumerate(known) if one[0] < soon])

    def keep(self, keys: Iterable[Key], stored: Iterable[Stored | None], until: float, epoch: int) -> None:
        """Remember what was asked of the store in an `epoch`, if that is still this one."""
        if epoch != self.epoch:
            return
        for key, row in zip(keys, stored, strict=True):
            # Out and in again, so that the dictionary's order is that of reading.
            self._rows.pop(key, None)
            self._rows[key] = until, row
        if (over := len(self._rows) - self._maximum) > 0:
            for key in list(islice(self._rows, over)):
                del self._rows[key]

    def forget(self) -> None:
        """Read everything again."""
        self.epoch += 1
        self._rows.clear()

    def judge(
        self, look: Look, as_of: Sequence[datetime], columns: dict[str, Any], flags: list[tuple[str, ...]]
    ) -> dict[str, int]:
        """Add the view's columns to `columns` and its flags to `flags`, row by row; how often each status was found.

        Where the rows came by column, so do the view's: Arrow's arrays.
        """
        if look.places is not None:
            return self._judge_columns(look.stored, look.places, as_of, columns, flags)
        values: list[Sequence[Any]] = []
        counts: dict[str, int] = {}
        for i, (row, moment) in enumerate(zip(look.stored, as_of, strict=True)):
            status = self._judge.status(row, moment)
            counts[status] = counts.get(status, 0) + 1
            if row is not None and status == FRESH:
                values.append(row[2])
            else:
                values.append(self._judge.nothing)
                flags[i] += self._flags[status]
        columns.update(zip(self.columns, map(list, zip(*values, strict=True)), strict=True))
        return counts

    def _judge_columns(
        self,
        stored: Sequence[Stored | None],
        places: Places,
        as_of: Sequence[datetime],
        columns: dict[str, Any],
        flags: list[tuple[str, ...]],
    ) -> dict[str, int]:
        judged = self._by_column.of(stored, places, as_of)
        columns.update(judged.columns)
        counts = {FRESH: len(places)}
        for status, rows in judged.rows.items():
            counts[status] = len(rows)
            counts[FRESH] -= len(rows)
            for row in rows:
                flags[row] += self._flags[status]
        return {status: count for status, count in counts.items() if count}

    @cached_property
    def _by_column(self) -> ColumnJudge:
        """Made when the first table comes, since Arrow takes memory."""
        from everloop.serve.columns.judging import ColumnJudge

        return ColumnJudge(self._view)
