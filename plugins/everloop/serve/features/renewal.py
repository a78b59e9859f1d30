"""Feature rows in demand are read again before their time is over, many in one read, so that no request waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from itertools import islice

from everloop.serve.features.look import Key
from everloop.serve.features.store import StoreAway

AHEAD = 0.5
"""The last part of a row's time in which it is read again when somebody asks for it (ours: one in demand is asked for in it)."""

ENTITIES = 200
"""Entities of one read: to take in more of them at once would hold up the requests that came meanwhile."""

MAXIMUM = 10_000
"""Entities that may wait; those beyond them are read when a request needs them."""

_GATHER_SECONDS = 0.05

Entity = tuple[tuple[str, ...], Key]
"""Names of join keys, and their values."""


class Renewal:
    """What is to be read again, and the task that does so a moment later, when more has come that goes with it.

    `read` reads entities into the caches, `spawn` runs a task. What the caches hold counts for `seconds`.
    """

    def __init__(
        self,
        read: Callable[[Sequence[Entity]], Awaitable[None]],
        spawn: Callable[[Coroutine[None, None, None]], None],
        seconds: float,
    ) -> None:
        self._read, self._spawn = read, spawn
        self._gather = min(seconds * AHEAD / 4, _GATHER_SECONDS)
        self._waiting: dict[Entity, None] = {}

    def want(self, entities: Sequence[Entity]) -> None:
        """Read these again soon; those that are under way are not asked for twice."""
        if entities and not self._waiting:
            self._spawn(self._run())
        self._waiting.update(dict.fromkeys(entities[: MAXIMUM - len(self._waiting)]))

    async def _run(self) -> None:
        try:
            await asyncio.sleep(self._gather)
            while self._waiting:
                going = list(islice(self._waiting, ENTITIES))
                await self._read(going)
                for entity in going:
                    del self._waiting[entity]
        except StoreAway:
            pass  # whoever needs them will see for himself, and flag what he answers
        finally:
            self._waiting.clear()
