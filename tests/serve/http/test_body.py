"""Bodies that come with their head, in pieces, late, too large, or never."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from everloop.serve.http import body as bodies
from everloop.serve.http.body import ClientGoneError, read_body
from everloop.serve.problems import Refused

Receive = Callable[[], Awaitable[dict[str, Any]]]


def sending(*parts: bytes, wait: float | None = None) -> Receive:
    """The messages of a body; before each of them the event loop turns, or `wait` seconds pass, unless `wait` is `None`."""
    left = list(parts)

    async def receive() -> dict[str, Any]:
        if wait is not None:
            await asyncio.sleep(wait)
        if not left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return receive


def read(receive: Receive, maximum: int = 100, **headers: str) -> bytes:
    return asyncio.run(read_body(receive, {name.encode(): value.encode() for name, value in headers.items()}, maximum))


@pytest.mark.parametrize("wait", [None, 0.0, 0.01])
def test_a_body_is_put_together_however_it_comes(wait: float | None) -> None:
    assert read(sending(b"whole", wait=wait)) == b"whole"
    assert read(sending(b"in ", b"three ", b"pieces", wait=wait)) == b"in three pieces"
    assert read(sending(b"", wait=wait)) == b""


@pytest.mark.parametrize("wait", [None, 0.0])
def test_a_body_that_is_too_large_is_refused_by_what_it_says_or_by_what_comes(wait: float | None) -> None:
    for found in (
        lambda: read(sending(b"x", wait=wait), **{"content-length": "101"}),
        lambda: read(sending(b"x" * 60, b"x" * 60, wait=wait)),
    ):
        with pytest.raises(Refused) as told:
            found()
        assert told.value.status == 413


@pytest.mark.parametrize("wait", [None, 0.0])
def test_nobody_is_answered_who_has_hung_up(wait: float | None) -> None:
    with pytest.raises(ClientGoneError):
        read(sending(wait=wait))


def test_a_body_that_is_too_slow_is_refused_and_its_reading_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    ended: list[str] = []

    async def never() -> dict[str, Any]:
        try:
            await asyncio.sleep(30)
        finally:
            ended.append("reading")
        return {}

    with pytest.raises(Refused) as told:
        read(never)
    assert told.value.status == 408
    assert ended == ["reading"]


def test_whoever_gives_up_while_the_body_comes_is_let_go() -> None:
    async def use() -> None:
        task = asyncio.create_task(read_body(sending(b"late", wait=30), {}, 100))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(use())
