"""The stored features of a release's rows: from the cache at once, or in one round trip."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from everloop.adapters.features.stores.contract import PlannedRead
from everloop.flags import LAST_GOOD, UNAVAILABLE
from everloop.release import Manifest
from everloop.serve.block import Block, plain
from everloop.serve.features.cache import Look
from everloop.serve.features.store import OnlineStore, StoreAway
from everloop.serve.features.vectors import Vectors


class FeatureReader:
    """Reads the views of one release's plan. `cached` answers at once if it can, `read` asks the store for the rest."""

    def __init__(self, manifest: Manifest, store: OnlineStore) -> None:
        self._use_case, self._kept = manifest.use_case, manifest.service.feature_cache_seconds
        self.views = manifest.plan.views
        self._store, self._planned = store, PlannedRead(manifest.plan)
        self._caches = [store.cache(view) for view in self.views]
        self._keys = tuple({key: None for view in self.views for key in view.join_keys})

    def cached(self, block: Block) -> Vectors | None:
        """The vectors of rows whose every entity was read lately; `None` when one has to be read."""
        looks = self._look(block)
        return None if any(look.lacking for look in looks) else self._vectors(block, looks)

    async def read(self, block: Block) -> Vectors:
        """The vectors of rows. Without the store: what was read of it before, or none at all, flagged as such."""
        looks = self._look(block)
        lacking = sorted({row for look in looks for row in look.lacking})
        if not lacking:
            return self._vectors(block, looks)
        try:
            await self._fetch(block, looks, lacking)
        except StoreAway:
            return self._without_store(block, looks, lacking)
        return self._vectors(block, looks)

    def _look(self, block: Block) -> list[Look]:
        now = time.monotonic()
        return [cache.look(cache.keys(block.request), now) for cache in self._caches]

    async def _fetch(self, block: Block, looks: Sequence[Look], lacking: Sequence[int]) -> None:
        """Read every view of the rows `lacking` in one round trip, into their looks and the caches."""
        columns = {name: plain(block.request[name]) for name in self._keys}
        asked = [{name: column[i] for name, column in columns.items()} for i in lacking]
        found = await self._store.stored(self._planned, asked)
        until = time.monotonic() + self._kept
        for view, (cache, look) in enumerate(zip(self._caches, looks, strict=True)):
            stored = [row[view] for row in found]
            cache.keep(cache.keys({name: [row[name] for row in asked] for name in self._keys}), stored, until)
            for i, row in zip(lacking, stored, strict=True):
                look.stored[i] = row

    def _vectors(self, block: Block, looks: Iterable[Look]) -> Vectors:
        columns: dict[str, Any] = {}
        flags: list[tuple[str, ...]] = [()] * len(block)
        for cache, look in zip(self._caches, looks, strict=True):
            for status, times in cache.judge(look.stored, block.as_of, columns, flags).items():
                self._store.seen(self._use_case, cache.name, status, times)
        return Vectors(columns, flags)

    def _without_store(self, block: Block, looks: Sequence[Look], lacking: Sequence[int]) -> Vectors:
        """Rows of which every view was read some time keep those values; the others have none, not some."""
        unknown = {row for look in looks for row in look.unknown}
        for look in looks:
            look.stored[:] = [None if i in unknown else row for i, row in enumerate(look.stored)]
        vectors = self._vectors(block, looks)
        for i in lacking:
            vectors.flags[i] = (UNAVAILABLE,) if i in unknown else (*vectors.flags[i], LAST_GOOD)
        return vectors
