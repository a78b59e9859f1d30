"""Feature rows in demand are read again before their time is over, many in one read, so that no request waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from itertools import islice
from typing import Any

from everloop.serve.features.look import Key
from everloop.serve.features.store import StoreAway

AHEAD = 0.5
"""The last part of a row's time in which it is read again when somebody asks for it (ours: one in demand is asked for in it)."""

ROWS = 200
"""Rows of one read: to take in more of them at once would hold up the requests that came meanwhile."""

MAXIMUM = 10_000
"""Rows that may wait; those beyond them are read when a request needs them."""

_GATHER_SECONDS = 0.05

Row = Mapping[str, Any]


class Renewal:
    """What is to be read again, and the task that does so a moment later, when more has come that goes with it.

    `read` reads rows of join keys into the caches, `spawn` runs a task. Rows of the caches count for `seconds`.
    """

    def __init__(
        self,
        read: Callable[[Sequence[Row]], Awaitable[object]],
        spawn: Callable[[Coroutine[None, None, None]], None],
        seconds: float,
    ) -> None:
        self._read, self._spawn = read, spawn
        self._gather = min(seconds * AHEAD / 4, _GATHER_SECONDS)
        self._waiting: dict[Key, Row] = {}

    def want(self, rows: Mapping[Key, Row]) -> None:
        """Read these again soon; those that are under way are not asked for twice."""
        if rows and not self._waiting:
            self._spawn(self._run())
        for key, row in islice(rows.items(), MAXIMUM - len(self._waiting)):
            self._waiting.setdefault(key, row)

    async def _run(self) -> None:
        try:
            await asyncio.sleep(self._gather)
            while self._waiting:
                going = dict(islice(self._waiting.items(), ROWS))
                await self._read(list(going.values()))
                for key in going:
                    del self._waiting[key]
        except StoreAway:
            pass  # whoever needs the rows will see for himself, and flag what he answers
        finally:
            self._waiting.clear()
