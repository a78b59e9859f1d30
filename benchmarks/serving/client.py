"""A small HTTP client by asyncio that tells what others hide: which answer is whose, and which connection broke without one.

No retries, no pool: a connection is one of these, and a request that gets no answer says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from types import TracebackType

PATIENCE_SECONDS = 10.0


class NoAnswerError(Exception):
    """The connection ended while a request waited on it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`began`, `ended`: `time.perf_counter` before the request was sent and after its answer was there."""

    status: int
    body: bytes
    began: float
    ended: float


class Connection:
    """Keeps one connection to 127.0.0.1 and posts on it; opens it again for the request after it ended."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: "
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def post(self, body: bytes) -> Answer:
        """The answer. Raises `ConnectionRefusedError` (nobody listens), `NoAnswerError` (it broke), `TimeoutError`."""
        if self._reader is None or self._reader.at_eof() or self._reader.exception() is not None:
            self.close()
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._exchange(body, began)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            self.close()
            raise NoAnswerError(f"{type(error).__name__}: {error}") from error
        except TimeoutError:
            self.close()
            raise

    async def _exchange(self, body: bytes, began: float) -> Answer:
        assert self._reader is not None
        assert self._writer is not None
        self._writer.write(f"{self._head}{len(body)}\r\n\r\n".encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status, length = int(head[9:12]), _length(head)
        return Answer(status, await self._reader.readexactly(length), began, time.perf_counter())


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
