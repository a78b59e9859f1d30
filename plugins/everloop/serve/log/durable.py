"""Waiting for the disk: many requests share one fdatasync, and a thread bounds what a power loss takes from the others."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

from everloop.serve.log.segment import PredictionLog

SYNC_SECONDS = 0.01

_LOG = logging.getLogger("everloop.serve.log")


class GroupCommit:
    """For the durable mode, on one asyncio loop: whoever waits while an fdatasync runs shares the next one (group commit).

    The idea is that of DeWitt et al., "Implementation Techniques for Main Memory Database Systems", SIGMOD 1984, section 5.2.
    """

    def __init__(self, log: PredictionLog) -> None:
        self._log = log
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "prediction-log-commit")

    async def until(self, position: int) -> None:
        """Return once the disk has all up to `position`; raises the `OSError` of the fdatasync that should have covered it."""
        if position <= self._log.synced:
            self._log.check(position)
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((position, future))
        if self._task is None:
            self._task = loop.create_task(self._run())
        await future

    def close(self) -> None:
        """End the thread; wait for an fdatasync under way."""
        self._thread.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            failure: Exception | None = None
            try:
                await loop.run_in_executor(self._thread, self._log.sync)
            except Exception as error:
                failure = error
            for position, future in waiting:
                self._tell(position, future, failure)
        self._task = None

    def _tell(self, position: int, future: asyncio.Future[None], failure: Exception | None) -> None:
        if future.done():
            return
        try:
            # Another sync may have failed on these bytes before this one succeeded on the next segment.
            self._log.check(position)
        except OSError as error:
            failure = error
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)


class Syncer:
    """A daemon thread that syncs a log every `seconds` in which something was appended: a power loss takes no more than that."""

    def __init__(self, log: PredictionLog, seconds: float = SYNC_SECONDS) -> None:
        self.problem: str | None = None
        self._log = log
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log-sync", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Sync what is left and end."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._sync()
        self._sync()

    def _sync(self) -> None:
        if self._log.synced == self._log.position:
            return
        try:
            self._log.sync()
        except OSError as error:
            if self.problem is None:
                _LOG.error("the disk failed under the prediction log, which goes on in a new segment: %s", error)
            self.problem = str(error)
        else:
            self.problem = None
