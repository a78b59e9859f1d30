"""Answers as ASGI messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from everloop.serve.problems import Refused
from everloop.serve.shapes.rows import JSON
from everloop.serve.shapes.shape import Reply

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def send_reply(send: Send, status: int, reply: Reply, request_id: str = "") -> None:
    """One answer, whole; the request's id, where it has one, as `X-Request-Id`."""
    headers = [(b"content-type", reply.media_type), (b"content-length", b"%d" % len(reply.body)), *reply.headers]
    if request_id:
        headers.append((b"x-request-id", request_id.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def send_refusal(send: Send, refused: Refused, request_id: str = "") -> None:
    """What is wrong, in the shape of every error."""
    headers = tuple((name.lower().encode(), value.encode()) for name, value in refused.headers().items())
    await send_reply(send, refused.status, Reply(msgspec.json.encode(refused.body()), JSON, headers), request_id)
