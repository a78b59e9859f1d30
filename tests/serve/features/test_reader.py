"""Stored features of rows: one round trip, the cache before it, what was last good behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pyarrow as pa

from everloop.adapters.features.stores.judged import Stored
from everloop.decide.policy import ServicePolicy
from everloop.serve.block import Block
from everloop.serve.columns.moments import Moments
from everloop.serve.features.reader import FeatureReader
from everloop.serve.features.store import OnlineStore
from everloop.serve.features.vectors import Vectors
from serve.world import AT, DELAYS, WEATHER, World, bundle

Read = Callable[[Block], Awaitable[Vectors]]


def block(*entities: tuple[str | None, str | None]) -> Block:
    """Rows of (carrier, origin)."""
    rows = len(entities)
    carriers, origins = map(list, zip(*entities, strict=True))
    rest: dict[str, list[Any]] = {"departs": [AT] * rows, "distance": [1.0] * rows, "flight": [1] * rows}
    return Block(["k"] * rows, [AT] * rows, {"carrier": carriers, "origin": origins, **rest}, [()] * rows)


def by_column(rows: Block) -> Block:
    """The same as a table's rows come."""
    keys = {name: pa.array(rows.request[name], pa.string()) for name in ("carrier", "origin")}
    return replace(rows, as_of=Moments.of(rows.as_of), request={**rows.request, **keys})


class Counting(OnlineStore):
    """The store; counts the rows of each round trip."""

    def __init__(self, uri: str) -> None:
        self.found: list[tuple[str, str, int]] = []
        super().__init__(uri, lambda _, view, status, times: self.found.append((view, status, times)))
        self.trips: list[int] = []

    async def stored(self, read: Any, rows: Any) -> list[list[Stored | None]]:
        self.trips.append(len(rows))
        return await super().stored(read, rows)


def reading(world: World, use: Callable[[FeatureReader, Counting], Awaitable[None]], seconds: float = 60.0) -> None:
    async def run() -> None:
        store = Counting(world.database)
        await store.open()
        manifest = replace(bundle().manifest, service=ServicePolicy(feature_cache_seconds=seconds))
        try:
            await use(FeatureReader(manifest, store), store)
        finally:
            await store.close()

    asyncio.run(run())


def test_all_views_of_all_rows_come_in_one_round_trip_and_then_from_memory(world: World) -> None:
    async def use(reader: FeatureReader, store: Counting) -> None:
        asked = block(("AA", "JFK"), ("UA", "JFK"), ("AA", None))
        assert reader.cached(asked) is None
        first = await reader.read(asked)
        assert first.columns == {"delays__rate": [0.3, None, 0.3], "weather__temp": [None] * 3, "weather__wind": [None] * 3}
        assert first.flags == [("missing:weather",), ("missing:delays", "missing:weather"), ("missing:weather",)]
        assert reader.cached(asked) == first
        assert store.trips == [3]
        assert ("delays", "fresh", 2) in store.found

    reading(world, use)


def test_only_rows_with_an_unknown_entity_are_asked_for(world: World) -> None:
    async def use(reader: FeatureReader, store: Counting) -> None:
        await reader.read(block(("AA", "JFK")))
        await reader.read(block(("AA", "JFK"), ("AA", "LGA")))
        assert store.trips == [1, 1]

    reading(world, use)


def test_without_a_cache_every_request_sees_the_store(world: World) -> None:
    async def use(reader: FeatureReader, store: Counting) -> None:
        await reader.read(block(("AA", "JFK")))
        with psycopg.connect(world.database) as connection:
            connection.execute("UPDATE online.trips_delays SET rate = 0.9")
        await asyncio.sleep(0.001)
        assert (await reader.read(block(("AA", "JFK")))).columns["delays__rate"] == [0.9]
        assert store.trips == [1, 1]

    reading(world, use, seconds=0.0)


def test_a_write_through_this_process_is_seen_at_once(world: World) -> None:
    async def use(reader: FeatureReader, store: Counting) -> None:
        await reader.read(block(("AA", "JFK")))
        later = AT + timedelta(seconds=1)
        await store.write(DELAYS, [{"carrier": "AA", "rate": 0.7, "event_timestamp": AT, "created": AT}])
        assert (await reader.read(block(("AA", "JFK")))).columns["delays__rate"] == [0.7]
        await store.write(WEATHER, [{"origin": "JFK", "temp": 1.0, "wind": 2.0, "event_timestamp": later, "created": later}])
        assert (await reader.read(block(("AA", "JFK")))).flags == [("early:weather",)]

    reading(world, use)


def test_what_is_asked_for_in_the_last_part_of_its_time_is_read_again_for_those_to_come(world: World) -> None:
    async def use(reader: FeatureReader, store: Counting) -> None:
        asked = block(("AA", "JFK"), ("UA", "JFK"))
        await reader.read(asked)
        await asyncio.sleep(0.6)
        with psycopg.connect(world.database) as connection:
            connection.execute("UPDATE online.trips_delays SET rate = 0.9")
        before = reader.cached(asked)
        assert before is not None
        assert before.columns["delays__rate"] == [0.3, None]
        await asyncio.sleep(0.3)
        after = reader.cached(asked)
        assert after is not None
        assert after.columns["delays__rate"] == [0.9, None]
        assert store.trips == [2, 3]  # two carriers and an airport

    reading(world, use, seconds=1.0)


def test_rows_by_column_are_read_and_judged_as_those_by_row(world: World) -> None:
    async def use(reader: FeatureReader, store: Counting) -> None:
        entities = [("AA", "JFK"), ("UA", "JFK"), ("AA", None), (None, None)] * 20
        by_row = block(*entities)
        found, expected = await reader.read(by_column(by_row)), await reader.read(by_row)
        assert {name: column.to_pylist() for name, column in found.columns.items()} == expected.columns
        assert found.flags == expected.flags
        assert store.trips == [3]

    reading(world, use)


def test_with_the_store_away_rows_by_column_have_what_those_by_row_have(world: World) -> None:
    async def use(reader: FeatureReader, store: Counting) -> None:
        await reader.read(block(("AA", "JFK")))
        with psycopg.connect(world.database) as connection:
            connection.execute("ALTER TABLE online.trips_delays RENAME TO gone")
        await asyncio.sleep(0.01)
        by_row = block(*[("AA", "JFK"), ("UA", "JFK"), ("AA", "LGA"), ("AA", None)] * 20)
        found, expected = await reader.read(by_column(by_row)), await reader.read(by_row)
        assert {name: column.to_pylist() for name, column in found.columns.items()} == expected.columns
        assert found.flags == expected.flags
        assert found.columns["delays__rate"].to_pylist()[:4] == [0.3, None, None, 0.3]
        assert store.problem is not None

    reading(world, use, seconds=0.005)


def test_with_the_store_away_known_rows_keep_what_was_last_good_and_others_have_nothing(world: World) -> None:
    async def use(reader: FeatureReader, store: Counting) -> None:
        await reader.read(block(("AA", "JFK")))
        with psycopg.connect(world.database) as connection:
            connection.execute("ALTER TABLE online.trips_delays RENAME TO gone")
        await asyncio.sleep(0.01)
        found = await reader.read(block(("AA", "JFK"), ("UA", "JFK"), ("AA", "LGA")))
        assert found.columns["delays__rate"] == [0.3, None, None]
        assert found.flags == [("missing:weather", "features_last_good"), ("features_unavailable",), ("features_unavailable",)]
        await reader.read(block(("UA", "JFK")))
        assert len(store.trips) == 3
        assert store.problem is not None

    reading(world, use, seconds=0.005)
