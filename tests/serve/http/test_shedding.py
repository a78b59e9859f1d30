"""A gate of two places before a slow application: who finds none is told so at once, and every place comes back."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from everloop.serve.http.shedding import Gate
from serve.world import behind_the_gate, wait_until

PLACES = 2
BODY = b'{"key":"a"}'


class Slow:
    """Answers when it is let go."""

    def __init__(self) -> None:
        self.shed = 0
        self.gate = Gate(self._shed, lambda use_case: PLACES)
        self.go = threading.Event()

    def _shed(self, use_case: str) -> None:
        assert use_case == "u"
        self.shed += 1

    async def __call__(self, scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        while (await receive()).get("more_body"):
            pass
        while not self.go.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def url(slow: Slow) -> Iterator[str]:
    with behind_the_gate(slow) as port:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            slow.go.set()


def fill(url: str, slow: Slow, found: list[int]) -> list[threading.Thread]:
    """Take all places."""
    ask = threading.Thread(target=lambda: found.append(httpx.post(f"{url}/v1/u/score", content=BODY, timeout=20).status_code))
    other = threading.Thread(target=lambda: found.append(httpx.post(f"{url}/v1/u/score", content=BODY, timeout=20).status_code))
    for thread in (ask, other):
        thread.start()
    wait_until(lambda: slow.gate.taken == PLACES)
    return [ask, other]


def test_who_finds_no_place_is_refused_at_once_in_the_shape_of_every_error_and_its_connection_goes_on(
    url: str, slow: Slow
) -> None:
    found: list[int] = []
    threads = fill(url, slow, found)
    with httpx.Client(timeout=20) as client:
        began = time.monotonic()
        refused = [client.post(f"{url}/v1/u/score", content=BODY) for _ in range(50)]
        assert time.monotonic() - began < 5
        assert {one.status_code for one in refused} == {429}
        assert set(refused[0].json()["errors"][0]) == {"field", "value", "rule", "next"}
        assert refused[0].headers["retry-after"] == "1"
        assert slow.shed == 50
        slow.go.set()
        for thread in threads:
            thread.join(10)
        assert client.post(f"{url}/v1/u/score", content=BODY).status_code == 200
    assert found == [200, 200]
    assert slow.gate.taken == 0


def test_each_use_case_has_places_of_its_own() -> None:
    gate = Gate(lambda use_case: None, {"a": 1, "b": 2}.__getitem__)
    gate.enter("a")
    gate.enter("b")
    assert (gate.full("a"), gate.full("b"), gate.taken) == (True, False, 2)
    gate.leave("a")
    gate.enter("b")
    assert (gate.full("a"), gate.full("b"), gate.taken) == (False, True, 2)


@pytest.mark.parametrize(
    ("path", "headers", "content"),
    [
        ("/readyz", {}, BODY),
        ("/v1/u/outcomes", {}, BODY),
        ("/v1/u/score", {"Connection": "close"}, BODY),
        ("/v1/u/score", {}, iter([BODY, BODY])),
    ],
    ids=["a probe", "another route", "the last request of its connection", "chunks"],
)
def test_what_is_no_plain_score_request_goes_the_long_way(url: str, slow: Slow, path: str, headers: Any, content: Any) -> None:
    threads = fill(url, slow, [])
    threading.Timer(0.3, slow.go.set).start()
    assert httpx.post(f"{url}{path}", headers=headers, content=content, timeout=20).status_code == 200
    assert slow.shed == 0
    for thread in threads:
        thread.join(10)
    wait_until(lambda: slow.gate.taken == 0)


def test_a_client_that_hangs_up_gives_its_place_back(url: str, slow: Slow) -> None:
    for _ in range(2 * PLACES):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/v1/u/score", content=BODY, timeout=0.2)
    wait_until(lambda: slow.gate.taken == 0)
    assert slow.shed == 0


def test_a_body_that_comes_late_or_in_pieces_is_passed_over_and_what_follows_it_is_read(url: str, slow: Slow) -> None:
    threads = fill(url, slow, [])
    host, port = url.removeprefix("http://").split(":")
    head = b"POST /v1/u/score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        for pieces in ([head, BODY], [head + BODY[:3], BODY[3:5], BODY[5:]], [head + BODY]):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.1)
            assert connection.recv(65_536).count(b"HTTP/1.1 429 ") == 1
        slow.go.set()
        for thread in threads:
            thread.join(10)
        connection.sendall(head)
        connection.sendall(BODY)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert slow.shed == 3
