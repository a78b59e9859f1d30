"""A PostgreSQL that says it ends, before the end of its connections is seen: the store is away, and nothing else is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from everloop.adapters.features.stores.contract import PlannedRead
from everloop.serve.features.store import OnlineStore, StoreAway
from serve.world import AT, PLAN, World

ROW = [{"carrier": "AA", "origin": "JFK"}]


class HoldsEnds:
    """A TCP proxy that passes bytes on, but not that the server has hung up."""

    def __init__(self, uri: str) -> None:
        self._server = urlsplit(uri)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> str:
        """The URI through the proxy."""
        listening = await asyncio.start_server(self._joined, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        host = self._server.netloc.replace(f":{self._server.port}", f":{port}")
        return urlunsplit(self._server._replace(netloc=host))

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, to_them = await asyncio.open_connection(self._server.hostname, self._server.port)
        self._tasks += [asyncio.create_task(_pass_on(reader, to_them)), asyncio.create_task(_pass_on(theirs, writer))]


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65_536):
        writer.write(part)
        await writer.drain()


def through_proxy(world: World, act: Callable[[OnlineStore], Awaitable[None]]) -> None:
    async def run() -> None:
        store = OnlineStore(await HoldsEnds(world.database).start(), lambda *_: None)
        await store.open()
        try:
            await act(store)
        finally:
            await store.close()

    asyncio.run(run())


def test_a_connection_whose_server_said_that_it_ends_makes_the_store_away_and_is_not_used_again(world: World) -> None:
    read = PlannedRead(PLAN)

    async def act(store: OnlineStore) -> None:
        ((delays, weather),) = await store.stored(read, ROW)
        assert delays == (AT, AT, (0.3,))
        assert weather is None
        with psycopg.connect(world.database, autocommit=True) as connection:
            ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'everloop scorer'"
            assert connection.execute(ended).fetchone() == (1,)
        await asyncio.sleep(0.3)  # its last words have come
        with pytest.raises(StoreAway):
            await store.stored(read, ROW)
        await asyncio.sleep(1.1)  # the store's pause
        assert await store.stored(read, ROW) == [[delays, weather]]

    through_proxy(world, act)
