"""Answers as ASGI messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from everloop.serve.shapes.shape import Reply

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def send_reply(send: Send, status: int, reply: Reply) -> None:
    """One answer, whole."""
    headers = [(b"content-type", reply.media_type), (b"content-length", b"%d" % len(reply.body)), *reply.headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
