"""The body of a request, as far as it may be large and slow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, MutableMapping
from typing import Any

from everloop.serve.problems import Refused, refuse

BODY_SECONDS = 10.0

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientGoneError(Exception):
    """The client hung up before its body was there: nobody is left to answer."""


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], maximum: int) -> bytes:
    """The whole body, refused as soon as it is seen to be too large (413) or too slow (408)."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > maximum:
        raise _too_large(int(declared), maximum)
    begun = _Begun(_all(receive, maximum))
    if begun.done:
        return begun.value
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await begun
    except TimeoutError:
        raise refuse(408, "body", None, f"must arrive within {BODY_SECONDS:g} s", "send it again on a faster line") from None


class _Begun:
    """A coroutine that was started at once: a body that came with its head is there, and a timer costs more than reading it."""

    def __init__(self, reading: Coroutine[Any, Any, bytes]) -> None:
        self._reading = reading
        self.done, self.value = False, b""
        try:
            self._waits_for = reading.send(None)
        except StopIteration as end:
            self.done, self.value = True, end.value

    def __await__(self) -> Generator[Any, Any, bytes]:
        while True:
            error: BaseException | None = None
            try:
                sent = yield self._waits_for
            except BaseException as raised:
                error = raised
            try:
                self._waits_for = self._reading.send(sent) if error is None else self._reading.throw(error)
            except StopIteration as end:
                return bytes(end.value)


async def _all(receive: Receive, maximum: int) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        size += len(part)
        if size > maximum:
            raise _too_large(size, maximum)
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(size: int, maximum: int) -> Refused:
    return refuse(413, "body", size, f"must not exceed {maximum} bytes", "send several smaller requests")
