"""What goes wrong during the soak: releases swap, PostgreSQL is killed and comes back, workers are killed."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import time
from collections.abc import Awaitable, Callable

import psycopg

from benchmarks.serving.processes import WORKER, of
from benchmarks.serving.restarts import Restarts
from benchmarks.serving.stage import Stage
from everloop.errors import EverloopError

SWAP_SECONDS = 10.0
WORKER_SECONDS = 60.0
DATABASE_SECONDS = 180.0
DOWN_SECONDS = 5.0


class Disturbance:
    """Does it all by the clock, and notes it."""

    def __init__(self, stage: Stage, database: Restarts, service: subprocess.Popen[bytes], releases: list[str]) -> None:
        self._stage, self._database, self._service = stage, database, service
        self._releases = itertools.cycle([releases[1], releases[0]])
        self.swaps = self.database_kills = 0
        self.worker_kills: list[float] = []

    async def run(self, seconds: float) -> None:
        """Disturb for so long. A run too short for the usual pauses gets shorter ones, so that all happens at least twice."""
        until = time.monotonic() + seconds
        database, worker = min(DATABASE_SECONDS, seconds / 3), min(WORKER_SECONDS, seconds / 3)
        await asyncio.gather(
            self._every(SWAP_SECONDS, until, self._swap),
            self._every(database, until - DOWN_SECONDS, self._restart),
            self._every(worker, until, self._kill),
        )

    async def _every(self, seconds: float, until: float, act: Callable[[], Awaitable[None]]) -> None:
        due = time.monotonic() + seconds
        while due < until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await act()
            due += seconds

    async def _swap(self) -> None:
        release = next(self._releases)
        while True:
            try:
                await asyncio.to_thread(self._stage.decide, champion=release)
            except (EverloopError, psycopg.Error):
                await asyncio.sleep(0.2)  # the ledger is away for the moment, as for any other decider
            else:
                self.swaps += 1
                return

    async def _restart(self) -> None:
        self._database.kill()
        self.database_kills += 1
        await asyncio.sleep(DOWN_SECONDS)
        await asyncio.to_thread(self._database.start)

    async def _kill(self) -> None:
        """The youngest worker: the eldest is left to show what a long life does to its memory."""
        youngest = of(self._service, WORKER)[-1]
        self.worker_kills.append(time.monotonic())
        youngest.kill()
