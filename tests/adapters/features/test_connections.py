"""Connections of the scorer: lent to one call at a time, never again after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from everloop.adapters.features.stores.connections import Connections


class Wire:
    """A connection that tells what became of it."""

    def __init__(self) -> None:
        self.alive, self.cut = True, False


class World:
    """`most` connections to nowhere, all that were made, and how many were in use at once."""

    def __init__(self, most: int = 2, seconds: float = 5.0) -> None:
        self.made: list[Wire] = []
        self.in_use = self.at_once = 0
        self.connections: Connections[Wire] = Connections(
            self._connect, lambda wire: wire.alive, self._cut, most=most, seconds=seconds
        )

    async def call(self, work: Callable[[Wire], Awaitable[Any]]) -> Wire:
        async def counted(wire: Wire) -> Wire:
            self.in_use += 1
            self.at_once = max(self.at_once, self.in_use)
            try:
                await work(wire)
            finally:
                self.in_use -= 1
            return wire

        return await self.connections.run(counted)

    async def _connect(self) -> Wire:
        self.made.append(Wire())
        return self.made[-1]

    async def _cut(self, wire: Wire) -> None:
        wire.cut = True


async def at_once(_: Wire) -> None:
    """Nothing."""


async def soon(_: Wire) -> None:
    await asyncio.sleep(0.001)


async def never(_: Wire) -> None:
    await asyncio.Event().wait()


async def fails(_: Wire) -> None:
    raise OSError("gone")


def play(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def test_one_connection_serves_calls_that_follow_each_other() -> None:
    async def story() -> None:
        world = World()
        assert [await world.call(at_once) for _ in range(3)] == world.made * 3
        assert len(world.made) == 1

    play(story())


def test_many_calls_at_once_never_use_more_than_allowed() -> None:
    async def story() -> None:
        world = World(most=3)
        await asyncio.gather(*(world.call(soon) for _ in range(30)))
        assert (world.at_once, len(world.made)) == (3, 3)

    play(story())


def test_a_connection_that_failed_is_cut_and_never_lent_again() -> None:
    async def story() -> None:
        world = World(most=1)
        with pytest.raises(OSError, match="gone"):
            await world.call(fails)
        assert world.made[0].cut
        assert await world.call(at_once) is world.made[1]

    play(story())


def test_a_cancelled_call_leaves_its_place_and_no_connection_in_the_middle_of_an_answer() -> None:
    async def story() -> None:
        world = World(most=1)
        task = asyncio.create_task(world.call(never))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert world.made[0].cut
        assert await world.call(at_once) is world.made[1]

    play(story())


def test_one_that_died_while_idle_is_passed_over() -> None:
    async def story() -> None:
        world = World()
        await world.call(at_once)
        world.made[0].alive = False
        assert await world.call(at_once) is world.made[1]

    play(story())


def test_a_call_waits_for_a_place_no_longer_than_allowed() -> None:
    async def story() -> None:
        world = World(most=1, seconds=0.01)
        task = asyncio.create_task(world.call(never))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await world.call(at_once)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await world.call(at_once)

    play(story())


def test_waiting_connecting_and_asking_have_one_limit_together() -> None:
    async def story() -> None:
        world, seconds = World(most=1, seconds=1.0), 0.7
        first = asyncio.create_task(world.call(lambda _: asyncio.sleep(seconds)))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await world.call(lambda _: asyncio.sleep(seconds))
        assert (await first).cut
        assert await world.call(at_once) is world.made[1]

    play(story())


def test_a_place_is_free_again_when_connecting_fails() -> None:
    async def story() -> None:
        async def refused() -> Wire:
            raise ConnectionRefusedError

        connections: Connections[Wire] = Connections(refused, lambda _: True, lambda _: at_once(Wire()), most=1, seconds=1)
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                await connections.run(at_once)

    play(story())


def test_closing_cuts_those_in_use_too() -> None:
    async def story() -> None:
        world = World()
        task = asyncio.create_task(world.call(never))
        await asyncio.sleep(0)
        await world.call(at_once)
        await world.connections.close()
        assert [wire.cut for wire in world.made] == [True, True]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    play(story())
