"""The rows of one view that were read a moment ago, so that the entities in demand cost no round trip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from everloop.adapters.features.stores.judged import ABSENT, EARLY, STALE, Judge, Stored
from everloop.flags import FRESH, flag_of
from everloop.release import ViewPlan
from everloop.serve.block import FEW, plain

if TYPE_CHECKING:
    from everloop.serve.columns.judging import ColumnJudge

MAXIMUM = 100_000
"""Entities of a view that are kept (ours: about 30 MB a view of ten numbers); beyond it the ones read longest ago go first."""

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of some rows' entities: a stored row each, the rows to read anew, those of them never read before."""

    stored: list[Stored | None]
    lacking: list[int]
    unknown: list[int]


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
        self._keys = tuple(view.join_keys)
        self._flags = {status: (flag_of(status, view.name),) for status in (ABSENT, STALE, EARLY)}
        self._maximum = maximum
        self._rows: dict[Key, tuple[float, Stored | None]] = {}

    def keys(self, request: Mapping[str, Any]) -> list[Key]:
        """Each row's entity."""
        return list(zip(*(plain(request[name]) for name in self._keys), strict=True))

    def look(self, keys: Sequence[Key], now: float) -> Look:
        """What is known of these entities. One without a join key has no row anywhere, which nobody need be asked."""
        if len(keys) > FEW and (known := self._known(keys, now)) is not None:
            return Look(known, [], [])
        look = Look([], [], [])
        for i, key in enumerate(keys):
            kept = self._rows.get(key)
            look.stored.append(kept and kept[1])
            if kept is None and None not in key:
                look.unknown.append(i)
            if kept is None or kept[0] < now:
                look.lacking.extend(() if None in key else (i,))
        return look

    def _known(self, keys: Iterable[Key], now: float) -> list[Stored | None] | None:
        """The stored rows when none has to be read."""
        kept = [self._rows.get(key) for key in keys]
        known = [one for one in kept if one is not None and one[0] >= now]
        return [one[1] for one in known] if len(known) == len(kept) else None

    def keep(self, keys: Iterable[Key], stored: Iterable[Stored | None], until: float) -> None:
        """Remember what was read."""
        for key, row in zip(keys, stored, strict=True):
            # Out and in again, so that the dictionary's order is that of reading.
            self._rows.pop(key, None)
            self._rows[key] = until, row
        if (over := len(self._rows) - self._maximum) > 0:
            for key in list(islice(self._rows, over)):
                del self._rows[key]

    def forget(self) -> None:
        """Read everything again."""
        self._rows.clear()

    def judge(
        self,
        stored: Sequence[Stored | None],
        as_of: Sequence[datetime],
        columns: dict[str, Any],
        flags: list[tuple[str, ...]],
    ) -> dict[str, int]:
        """Add the view's columns to `columns` and its flags to `flags`, row by row; how often each status was found.

        Where `as_of` is no list the rows came by column, and Arrow is there: the columns are its arrays then.
        """
        if type(as_of) is not list:
            return self._judge_columns(stored, as_of, columns, flags)
        values: list[Sequence[Any]] = []
        counts: dict[str, int] = {}
        for i, (row, moment) in enumerate(zip(stored, as_of, strict=True)):
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
        self, stored: Sequence[Stored | None], as_of: Sequence[datetime], columns: dict[str, Any], flags: list[tuple[str, ...]]
    ) -> dict[str, int]:
        judged = self._by_column.of(stored, as_of)
        columns.update(judged.columns)
        counts = {FRESH: len(stored)}
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
