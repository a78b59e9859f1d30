"""The body of a request, as far as it may be large and slow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
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
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _all(receive, maximum)
    except TimeoutError:
        raise refuse(408, "body", None, f"must arrive within {BODY_SECONDS:g} s", "send it again on a faster line") from None


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
