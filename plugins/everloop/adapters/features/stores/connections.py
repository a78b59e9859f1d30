"""The few connections of a scorer to its online store, each lent to one call at a time.

A driver's own pool shields each return in an asyncio task: 0.09 ms with asyncpg, a third of a read of one entity. Here a
connection that has failed, was cancelled or took too long is never lent again, so that one which comes back needs no reset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

C = TypeVar("C")
T = TypeVar("T")


class Connections(Generic[C]):
    """At most `most` connections at once, made by `connect` when they are needed.

    `alive` says whether one that stood idle is still there, `cut` ends one without waiting for the other side. A call takes
    `seconds` at most, what it waits for a connection included, then raises `TimeoutError`.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[C]],
        alive: Callable[[C], bool],
        cut: Callable[[C], Awaitable[None]],
        *,
        most: int,
        seconds: float,
    ) -> None:
        self._connect, self._alive, self._cut = connect, alive, cut
        self._free, self._seconds = asyncio.Semaphore(most), seconds
        self._idle: list[C] = []
        self._lent: set[C] = set()

    async def run(self, call: Callable[[C], Awaitable[T]]) -> T:
        """What `call` answers on a connection."""
        async with asyncio.timeout(self._seconds), self._free:
            connection = self._one_idle() or await self._connect()
            self._lent.add(connection)
            try:
                answer = await call(connection)
            except BaseException:
                await self._cut(connection)
                raise
            finally:
                self._lent.discard(connection)
            self._idle.append(connection)
            return answer

    async def close(self) -> None:
        """Cut them all, those in use included."""
        for connection in [*self._idle, *self._lent]:
            await self._cut(connection)
        self._idle.clear()

    def _one_idle(self) -> C | None:
        """The one that was used last, and is still there."""
        while self._idle:
            connection = self._idle.pop()
            if self._alive(connection):
                return connection
        return None
