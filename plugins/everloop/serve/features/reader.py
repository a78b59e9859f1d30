"""The stored features of a release's rows: from the cache at once, or in one round trip."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from everloop.adapters.features.stores.contract import PlannedRead, Row
from everloop.adapters.features.stores.judged import Stored
from everloop.flags import LAST_GOOD, UNAVAILABLE
from everloop.release import Manifest
from everloop.serve.block import Block, plain
from everloop.serve.features.look import Key, Look
from everloop.serve.features.renewal import AHEAD, Entity, Renewal
from everloop.serve.features.store import OnlineStore, StoreAway
from everloop.serve.features.vectors import Vectors


class FeatureReader:
    """Reads the views of one release's plan. `cached` answers at once if it can, `read` asks the store for the rest.

    What is asked for in the last part of its time is read again beside requests, so that those to come find it.
    """

    def __init__(self, manifest: Manifest, store: OnlineStore) -> None:
        self._use_case, self._kept = manifest.use_case, manifest.service.feature_cache_seconds
        self.views = manifest.plan.views
        self._store, self._planned = store, PlannedRead(manifest.plan)
        self._caches = [store.cache(view) for view in self.views]
        self._keys = tuple({key: None for view in self.views for key in view.join_keys})
        self._renewal = Renewal(self._renew, store.spawn, self._kept)

    def cached(self, block: Block) -> Vectors | None:
        """The vectors of rows whose every entity was read lately; `None` when one has to be read."""
        looks = self._look(block)
        return None if any(look.lacking for look in looks) else self._vectors(block, looks)

    async def read(self, block: Block) -> Vectors:
        """The vectors of rows. Without the store: what was read of it before, or none at all, flagged as such."""
        looks = self._look(block)
        lacking = sorted({row for look in looks for row in look.rows(look.lacking)})
        if not lacking:
            return self._vectors(block, looks)
        asked = self._asked(block, lacking)
        distinct = list(dict.fromkeys(asked))
        try:
            stored = await self._fetch([dict(zip(self._keys, keys, strict=True)) for keys in distinct])
        except StoreAway:
            return self._without_store(block, looks, lacking)
        found = dict(zip(distinct, stored, strict=True))
        for view, look in enumerate(looks):
            for row, keys in zip(lacking, asked, strict=True):
                look.put(row, found[keys][view])
        return self._vectors(block, looks)

    def _look(self, block: Block) -> list[Look]:
        now = time.monotonic()
        soon = now + self._kept * AHEAD
        looks = [cache.look_of(block.request, now, soon) for cache in self._caches]
        for cache, look in zip(self._caches, looks, strict=True):
            if look.due:
                self._renewal.want([(cache.keys, look.entities[one]) for one in look.due])
        return looks

    def _asked(self, block: Block, rows: Sequence[int]) -> list[Key]:
        """Of each of some rows the values of all join keys."""
        columns = [plain(block.request[name]) for name in self._keys]
        return [tuple(column[row] for column in columns) for row in rows]

    async def _fetch(self, rows: Sequence[Row]) -> list[list[Stored | None]]:
        """For each row of join keys what is stored for each view, in one round trip; caches keep what it has the keys of."""
        epochs = [cache.epoch for cache in self._caches]
        found = await self._store.stored(self._planned, rows)
        until = time.monotonic() + self._kept
        for view, (cache, epoch) in enumerate(zip(self._caches, epochs, strict=True)):
            own = [n for n, row in enumerate(rows) if all(name in row for name in cache.keys)]
            keys = [tuple(rows[n][name] for name in cache.keys) for n in own]
            cache.keep(keys, [found[n][view] for n in own], until, epoch)
        return found

    async def _renew(self, entities: Sequence[Entity]) -> None:
        await self._fetch([dict(zip(*entity, strict=True)) for entity in entities])

    def _vectors(self, block: Block, looks: Iterable[Look]) -> Vectors:
        columns: dict[str, Any] = {}
        flags: list[tuple[str, ...]] = [()] * len(block)
        for cache, look in zip(self._caches, looks, strict=True):
            for status, times in cache.judge(look, block.as_of, columns, flags).items():
                self._store.seen(self._use_case, cache.name, status, times)
        return Vectors(columns, flags)

    def _without_store(self, block: Block, looks: Sequence[Look], lacking: Sequence[int]) -> Vectors:
        """Rows of which every view was read some time keep those values; the others have none, not some."""
        unknown = {row for look in looks for row in look.rows(look.unknown)}
        for look in looks:
            look.forget(unknown, len(block))
        vectors = self._vectors(block, looks)
        for i in lacking:
            vectors.flags[i] = (UNAVAILABLE,) if i in unknown else (*vectors.flags[i], LAST_GOOD)
        return vectors
