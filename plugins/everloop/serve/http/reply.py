"""Answers as ASGI messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from everloop.serve.shapes.shape import Reply

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


Message = dict[str, Any]


async def send_reply(send: Send, status: int, reply: Reply, request_id: str = "") -> None:
    """One answer, whole; the request's id, where it has one, as `X-Request-Id`."""
    head, body = whole(status, reply)
    if request_id:
        head["headers"].append((b"x-request-id", request_id.encode()))
    await send(head)
    await send(body)


def whole(status: int, reply: Reply) -> tuple[Message, Message]:
    """The messages of one answer."""
    headers = [(b"content-type", reply.media_type), (b"content-length", b"%d" % len(reply.body)), *reply.headers]
    return (
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": reply.body},
    )
