"""The online store as the scorer reads it: behind a cache, in one round trip, and never waited for when it is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import Context
from datetime import datetime
from typing import Any

from everloop.adapters.features.stores.contract import PlannedRead, open_online_async
from everloop.adapters.features.stores.judged import Stored
from everloop.release import FeaturePlan, ViewPlan
from everloop.serve.features.cache import ViewCache

_READ_SECONDS = 2.0
_PAUSE_SECONDS = 1.0


class StoreAway(Exception):  # noqa: N818, it says what is, as the flag does
    """The online store is away, slow or not as the release expects."""


class OnlineStore:
    """Reads and writes. When it does not answer, says so and pauses: a dead store must not slow every request.

    `seen` is told how often each status was found: use case, view, status, count.
    """

    def __init__(self, uri: str, seen: Callable[[str, str, str, int], None]) -> None:
        self.seen = seen
        self.problem: str | None = None
        self._store = open_online_async(uri, _READ_SECONDS)
        self._caches: dict[tuple[Any, ...], ViewCache] = {}
        self._retry_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Get ready; works while the store is down."""
        await self._store.open()

    async def close(self) -> None:
        """End what was spawned; close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._store.close()

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run `work` beside all requests, in the name of none, until the store closes."""
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cache(self, view: ViewPlan) -> ViewCache:
        """The cache of a view, shared by all releases that read the same of it."""
        what = (view.table, tuple(view.join_keys), tuple(view.features), view.ttl_seconds)
        return self._caches.setdefault(what, ViewCache(view))

    async def stored(self, read: PlannedRead, rows: Sequence[Mapping[str, Any]]) -> list[list[Stored | None]]:
        """For each row (join keys by name) what is stored for each view, in one round trip. Raises `StoreAway`."""
        if time.monotonic() < self._retry_at:
            raise StoreAway(self.problem)
        try:
            found = await self._store.stored(read, rows)
        except self._store.errors as error:
            self.problem = f"{type(error).__name__}: {error}"
            self._retry_at = time.monotonic() + _PAUSE_SECONDS
            raise StoreAway(self.problem) from error
        self.problem = None
        return found

    async def write(self, view: ViewPlan, rows: Sequence[Mapping[str, Any]]) -> int:
        """Offer rows to a view; how many rows of the store changed. Requests see them at once. Raises `StoreAway`."""
        try:
            return await self._store.write(view, rows)
        except self._store.errors as error:
            raise StoreAway(f"{type(error).__name__}: {error}") from error
        finally:
            for (table, *_), cache in self._caches.items():
                if table == view.table:
                    cache.forget()

    async def newest(self, plan: FeaturePlan) -> dict[str, datetime]:
        """The latest event time of each view that has rows; nothing when the store does not answer."""
        if time.monotonic() < self._retry_at:
            return {}
        try:
            return await self._store.newest(plan.views)
        except self._store.errors:
            return {}
