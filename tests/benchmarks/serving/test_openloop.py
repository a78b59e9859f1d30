"""The open-loop generator counts every request that was due: answered, broken, or without a free connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.serving.openloop import compiled, flood, parse
from benchmarks.serving.program import Program

ANSWERS = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n")


class Alternating:
    """Answers 200 and 429 in turn, each after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._count = seconds, 0

    async def joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(65_536):
            assert head.endswith(b'{"a":1}')
            await asyncio.sleep(self._seconds)
            self._count += 1
            writer.write(ANSWERS[self._count % 2])


@pytest.fixture(params=[0.0, 0.05])
def slowness(request: pytest.FixtureRequest) -> float:
    return float(request.param)


@pytest.fixture
def program(slowness: float) -> Iterator[Program]:
    loop = asyncio.new_event_loop()
    serving = loop.run_until_complete(asyncio.start_server(Alternating(slowness).joined, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield Program(name="small", command=(), port=serving.sockets[0].getsockname()[1], path="/x")
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)


def test_every_request_that_was_due_is_accounted_for(program: Program, slowness: float, tmp_path: Path) -> None:
    bodies = tmp_path / "bodies"
    bodies.write_bytes(b'{"a":1}\n')
    found = flood(compiled(tmp_path), program, bodies, rate=200, seconds=1, connections=4)
    assert found.answers + found.unsent + found.broken == 200
    assert found.broken == 0
    assert abs(found.count(200) - found.count(429)) <= 1
    assert found.quantile_ms(200, 0.5) >= slowness * 1000
    if slowness:
        assert found.unsent > 50  # four connections at 20 a second each answer 80 of 200


def test_what_the_program_tells_is_read_by_status() -> None:
    found = parse("200 1.5\n429 0.5\n200 2.5\nunsent 3\nbroken 1\nlate 2\n")
    assert (found.answers, found.count(200), found.unsent, found.broken, found.late) == (3, 2, 3, 1, 2)
    assert found.quantile_ms(200, 0.5) == 2.0
    assert found.quantile_ms(500, 0.5) != found.quantile_ms(500, 0.5)  # NaN
