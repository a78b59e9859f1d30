"""Whatever bytes come: an answer that says what is wrong, in time, and a service that goes on."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.decide.policy import ServicePolicy
from serve.conftest import Server
from serve.world import USE_CASE, World, row

FIELDS = ("key", "event_timestamp", "explain", "rows", "carrier", "origin", "departs", "distance", "flight", "other")
PATIENCE = 20

ODD_NUMBERS = st.one_of(
    st.integers(min_value=-(10**400), max_value=10**400),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0, -0.0, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**309, 5e-324]),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    ODD_NUMBERS,
    st.text(),
    st.sampled_from(["\0", "2013-04-01", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "", "\ud800"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8
)
MISTYPED = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=len(FIELDS)).map(lambda changes: {**row(), **changes})
NEARLY = st.one_of(
    MISTYPED,
    st.lists(MISTYPED, max_size=4).map(lambda rows: {"rows": rows}),
    st.fixed_dictionaries({"rows": VALUES}),
    VALUES,
)
fuzzed = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def written(value: Any) -> bytes:
    """JSON as careless clients write it: NaN and Infinity, lone surrogates."""
    return json.dumps(value).encode()


def answered(server: Server, body: bytes, **headers: str) -> httpx.Response:
    """The answer, which must be one of those that are documented, in time, and in the shape of every error."""
    began = time.monotonic()
    answer = server.client.post(f"/v1/{USE_CASE}/score", content=body, headers=headers)
    assert time.monotonic() - began < PATIENCE
    assert answer.status_code in {200, 400, 413, 422}, (body, answer.text)
    told = answer.json()
    assert set(told) == ({"request_id", "results"} if answer.status_code == 200 else {"errors"})
    if answer.status_code != 200:
        assert all({"field", "value", "rule", "next"} == set(problem) for problem in told["errors"])
    return answer


def goes_on(server: Server) -> None:
    assert server.score(**row()).status_code == 200


@fuzzed
@given(body=st.binary(max_size=300))
def test_random_bytes_are_refused(server: Server, body: bytes) -> None:
    assert answered(server, body).status_code in {400, 422}
    goes_on(server)


@fuzzed
@given(value=NEARLY)
def test_json_that_is_nearly_right_is_answered_or_refused_by_field(server: Server, value: Any) -> None:
    answered(server, written(value))
    goes_on(server)


@fuzzed
@given(value=NEARLY, share=st.floats(0, 1))
def test_truncated_json_is_refused(server: Server, value: Any, share: float) -> None:
    whole = written(value)
    answered(server, whole[: int(len(whole) * share)])
    goes_on(server)


@fuzzed
@given(at=st.integers(0, 200), byte=st.integers(0, 255))
def test_one_changed_byte_of_a_right_body_is_answered_or_refused(server: Server, at: int, byte: int) -> None:
    body = bytearray(json.dumps(row()).encode())
    body[at % len(body)] = byte
    answered(server, bytes(body))
    goes_on(server)


@pytest.mark.parametrize("shape", ["[", '{"rows":', '{"rows":[', '{"key":{"a":'])
@pytest.mark.parametrize("depth", [100, 5_000, 200_000])
def test_deep_nesting_is_refused(server: Server, shape: str, depth: int) -> None:
    assert answered(server, (shape * depth)[:1_900_000].encode()).status_code == 400
    goes_on(server)


def test_a_number_of_a_million_digits_is_refused(server: Server) -> None:
    assert answered(server, b'{"key":"a","flight":' + b"9" * 1_000_000 + b"}").status_code in {400, 422}
    goes_on(server)


@fuzzed
@given(value=VALUES, route=st.sampled_from([f"/v1/{USE_CASE}/outcomes", f"/v1/{USE_CASE}/push/weather", f"/v1/{USE_CASE}/check"]))
def test_the_other_routes_refuse_what_is_wrong_too(server: Server, value: Any, route: str) -> None:
    bodies = [
        value,
        {"outcomes": value},
        {"outcomes": [value]},
        {"rows": value},
        {"rows": [value]},
        {"release": value, "rows": []},
    ]
    for body in bodies:
        answer = server.client.post(route, content=written(body))
        assert answer.status_code < 500, (body, answer.text)
    goes_on(server)


def exchanged(server: Server, sent: bytes, seconds: float = PATIENCE) -> bytes:
    """What comes back on a connection of its own until the service ends it, or says no more."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        found = b""
        while part := connection.recv(65_536):
            found += part
        return found


def request(body: bytes, *headers: str) -> bytes:
    lines = [f"POST /v1/{USE_CASE}/score HTTP/1.1", "Host: x", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


BODY = json.dumps(row()).encode()
ODD_FRAMING: dict[str, bytes] = {
    "a length that is too small": request(BODY, f"Content-Length: {len(BODY) - 10}"),
    "a length that is too large": request(BODY, f"Content-Length: {len(BODY) + 10}"),
    "no length": request(BODY),
    "a negative length": request(BODY, "Content-Length: -1"),
    "a length that is no number": request(BODY, "Content-Length: many"),
    "two lengths": request(BODY, "Content-Length: 3", f"Content-Length: {len(BODY)}"),
    "a huge length": request(BODY, "Content-Length: 99999999999999999999"),
    "both framings": request(BODY, "Content-Length: 5", "Transfer-Encoding: chunked"),
    "a chunk that is no chunk": request(b"zz\r\nabc\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
    "a chunk that is cut off": request(b"ff\r\nabc", "Transfer-Encoding: chunked"),
    "half a request line": b"POST /v1/",
    "no HTTP at all": b"\x16\x03\x01\x00\xa5\x01\x00\x00",
    "a path that is no text": b"POST /v1/\xff\xfe/score HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    "a header that never ends": b"POST / HTTP/1.1\r\nX: " + b"a" * 200_000,
}


@pytest.mark.parametrize("sent", ODD_FRAMING.values(), ids=ODD_FRAMING.keys())
def test_wrong_framing_is_refused_or_hung_up_on(server: Server, sent: bytes) -> None:
    found = exchanged(server, sent)
    statuses = {int(one[:3]) for one in found.split(b"HTTP/1.1 ")[1:]}
    assert statuses <= {200, 400, 404, 408, 413, 422, 431}, found[:500]
    goes_on(server)


def test_a_slow_body_is_told_so_and_slows_nobody(world: World, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everloop.serve.http.body.BODY_SECONDS", 1.0)
    host, port = server.url.removeprefix("http://").split(":")
    found: list[bytes] = []

    def slow() -> None:
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
            connection.sendall(request(b"{", f"Content-Length: {len(BODY)}"))
            found.append(connection.recv(65_536))

    threads = [threading.Thread(target=slow) for _ in range(5)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    goes_on(server)
    assert time.monotonic() - began < 0.9
    for thread in threads:
        thread.join(PATIENCE)
    assert len(found) == 5
    assert all(one.startswith(b"HTTP/1.1 408 ") for one in found)
    goes_on(server)


def test_clients_that_hang_up_at_any_byte_harm_nobody(world: World, server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    whole = request(BODY, f"Content-Length: {len(BODY)}")
    for end in range(0, len(whole) + 1, 7):
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
            connection.sendall(whole[:end])
    goes_on(server)


def test_an_unfinished_body_takes_no_place_for_ever(world: World, serve: Callable[..., Server]) -> None:
    """As many slow clients as there are places: the next one is told 429 at once, and has its answer when they are told 408."""
    seq = world.decide(champion=world.publish(service=ServicePolicy(maximum_in_flight=2)))
    server = serve()
    server.follow(seq)
    host, port = server.url.removeprefix("http://").split(":")
    held = [socket.create_connection((host, int(port)), timeout=PATIENCE) for _ in range(2)]
    for connection in held:
        connection.sendall(request(b"{", f"Content-Length: {len(BODY)}"))
    time.sleep(0.2)
    assert server.score(**row()).status_code == 429
    for connection in held:
        connection.close()
    time.sleep(0.2)
    goes_on(server)
