"""What is in demand is read again before its time is over: together, once, in pieces, and never at a request's cost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from everloop.serve.features import renewal
from everloop.serve.features.renewal import Entity, Renewal
from everloop.serve.features.store import StoreAway


class Reading:
    """A renewal, and what it read. `away`: reads fail."""

    def __init__(self) -> None:
        self.reads: list[list[Entity]] = []
        self.away = False
        self.tasks: list[asyncio.Task[None]] = []
        self.renewal = Renewal(self._read, lambda work: self.tasks.append(asyncio.create_task(work)), 0.01)

    async def _read(self, entities: Sequence[Entity]) -> None:
        if self.away:
            raise StoreAway
        self.reads.append(list(entities))
        await asyncio.sleep(0)

    def want(self, *numbers: int) -> None:
        self.renewal.want([(("number",), (number,)) for number in numbers])

    def read(self) -> list[list[object]]:
        return [[keys[0] for _, keys in entities] for entities in self.reads]


def run(use: Callable[[Reading], Awaitable[None]]) -> None:
    async def reading() -> None:
        await use(Reading())

    asyncio.run(reading())


def test_what_is_wanted_in_a_short_time_is_read_together_and_once() -> None:
    async def use(reading: Reading) -> None:
        reading.want(1, 2)
        reading.want(2, 3)
        reading.want()
        await asyncio.gather(*reading.tasks)
        assert reading.read() == [[1, 2, 3]]
        reading.want(1)
        await asyncio.gather(*reading.tasks)
        assert reading.read() == [[1, 2, 3], [1]]

    run(use)


def test_many_are_read_in_pieces_and_what_is_under_way_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "ENTITIES", 2)

    async def use(reading: Reading) -> None:
        reading.want(1, 2, 3, 4, 5)
        while not reading.reads:
            await asyncio.sleep(0)
        reading.want(1, 2, 6)
        await asyncio.gather(*reading.tasks)
        assert reading.read() == [[1, 2], [3, 4], [5, 6]]

    run(use)


def test_no_more_than_a_number_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "MAXIMUM", 3)

    async def use(reading: Reading) -> None:
        reading.want(1, 2)
        reading.want(3, 4, 5)
        await asyncio.gather(*reading.tasks)
        assert reading.read() == [[1, 2, 3]]

    run(use)


def test_a_store_that_is_away_costs_what_waits_and_nothing_else() -> None:
    async def use(reading: Reading) -> None:
        reading.away = True
        reading.want(1)
        await asyncio.gather(*reading.tasks)
        reading.away = False
        reading.want(2)
        await asyncio.gather(*reading.tasks)
        assert reading.read() == [[2]]

    run(use)
