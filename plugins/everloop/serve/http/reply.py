"""Answers as ASGI messages or, where the server is uvicorn, in one write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from everloop.serve.shapes.shape import Reply

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Message = dict[str, Any]
Headers = list[tuple[bytes, bytes]]


async def send_reply(send: Send, status: int, reply: Reply, request_id: str = "") -> None:
    """One answer, whole; the request's id, where it has one, as `X-Request-Id`."""
    headers = _headers(reply)
    if request_id:
        headers.append((b"x-request-id", request_id.encode()))
    cycle = getattr(send, "__self__", None)
    if type(cycle) is RequestResponseCycle and _writable(cycle):
        _write(cycle, status, headers, reply.body)
        return
    head, body = _messages(status, headers, reply.body)
    await send(head)
    await send(body)


def whole(status: int, reply: Reply) -> tuple[Message, Message]:
    """The messages of one answer."""
    return _messages(status, _headers(reply), reply.body)


def _headers(reply: Reply) -> Headers:
    return [(b"content-type", reply.media_type), (b"content-length", b"%d" % len(reply.body)), *reply.headers]


def _messages(status: int, headers: Headers, body: bytes) -> tuple[Message, Message]:
    return {"type": "http.response.start", "status": status, "headers": headers}, {"type": "http.response.body", "body": body}


def _writable(cycle: RequestResponseCycle) -> bool:
    """Whether there is nothing to wait for, nothing was said, and an answer has a body."""
    waits = cycle.flow.write_paused or cycle.disconnected
    return not (waits or cycle.response_started or cycle.access_log) and cycle.scope["method"] == "POST"


def _write(cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> None:
    """What the cycle's `send` does of both messages; it writes head and body apart, and a write costs more than the model."""
    lines = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        lines += (name, b": ", value, b"\r\n")
    lines += (b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n", body)
    cycle.waiting_for_100_continue = False
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(b"".join(lines))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
