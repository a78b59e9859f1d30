"""An answer in one write is byte for byte what uvicorn makes of the messages, and leaves the connection as those do."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from everloop.serve.http.reply import send_reply
from everloop.serve.http.shedding import Gate
from everloop.serve.shapes.shape import Reply
from serve.world import behind_the_gate

BODY = b'{"a": 1}'
LARGE = b"x" * 3_000_000


class Answers:
    """Answers by the very `send` that uvicorn gives, or, under /wrapped, by one that is not uvicorn's."""

    gate = Gate(lambda _: None, lambda _: 100)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass

        async def wrapped(message: Any) -> None:
            await send(message)

        given = wrapped if scope["path"].startswith("/wrapped") else send
        body = LARGE if scope["path"].endswith("large") else b'{"b": 2}'
        reply = Reply(body, headers=((b"retry-after", b"1"),))
        await send_reply(given, 429 if scope["path"].endswith("full") else 200, reply, "42")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with behind_the_gate(Answers()) as port:
        yield port


def request(path: str, *headers: str, method: str = "POST", version: str = "1.1") -> bytes:
    head = "".join(
        f"{one}\r\n" for one in (f"{method} {path} HTTP/{version}", "host: x", f"content-length: {len(BODY)}", *headers)
    )
    return head.encode() + b"\r\n" + BODY


def told(port: int, *requests: bytes, pause: float = 0.0) -> bytes:
    """Everything that the server says to requests of one connection, which it is told to close after the last."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for one in requests:
            connection.sendall(one)
            time.sleep(pause)
        found = b""
        while part := connection.recv(1 << 20):
            found += part
    return re.sub(rb"\r\ndate: [^\r]*", b"", found)


LAST = "connection: close"


@pytest.mark.parametrize(
    "requests",
    [
        [("/{}", LAST)],
        [("/{}/full", LAST)],
        [("/{}/large", LAST)],
        [("/{}",), ("/{}/full",), ("/{}", LAST)],
        [("/{}/large",), ("/{}", LAST)],
        [("/{}", "expect: 100-continue", LAST)],
    ],
)
@pytest.mark.parametrize("pause", [0.0, 0.05])
def test_both_ways_say_the_same_also_to_requests_that_follow_each_other(
    port: int, requests: list[tuple[str, ...]], pause: float
) -> None:
    once, apart = (
        told(port, *(request(path.format(way), *headers) for path, *headers in requests), pause=pause)
        for way in ("once", "wrapped")
    )
    assert once == apart
    assert once.count(b"HTTP/1.1 ") == len(requests) + ("expect: 100-continue" in requests[0])
    assert once.count(b"\r\nx-request-id: 42\r\n") == len(requests)


def test_http_1_0_is_answered_and_closed(port: int) -> None:
    assert told(port, request("/once", version="1.0")) == told(port, request("/wrapped", version="1.0"))


def test_a_head_request_gets_no_body(port: int) -> None:
    assert told(port, request("/once", LAST, method="HEAD")).endswith(b"\r\n\r\n")
