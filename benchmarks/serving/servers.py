"""A scoring server under comparison, and one turn of it: cold start, equal answers, load, memory and CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.serving.load import Load, write
from benchmarks.serving.program import Program, ServerError, first_answer, loaded, running
from benchmarks.serving.usage import usage
from benchmarks.serving.work import Row, Work

CHECKED = 20
TOLERANCE = 1e-6
CONNECTIONS = (1, 16)
BUSY = CONNECTIONS[-1]


@dataclass(frozen=True, kw_only=True)
class Server(Program):
    """A program that scores rows.

    `body`: a row as this server wants it, in one line. `score`: the probability in its answer. `about`: what scores the row and
    how, for the record.
    """

    body: Callable[[Row], bytes]
    score: Callable[[bytes], float]
    about: str


@dataclass(frozen=True)
class Measured:
    """One turn: seconds from the start to the first right answer, load by connections, CPU under the most of them, memory."""

    cold_start_seconds: float
    loads: Mapping[int, Load]
    cpu_seconds_per_request: float
    memory_mb: float


def measured(server: Server, work: Work, folder: Path, seconds: int) -> Measured:
    """Start the server, see that it is right, load it `seconds` by each number of connections, stop it. Raises `ServerError`."""
    bodies = write((server.body(row) for row in work.rows), folder / f"{server.name}.bodies")
    with running(server, folder / f"{server.name}.log") as process:
        cold = first_answer(server, process, server.body(work.rows[0]), lambda answer: _right(server, answer, work.scores[0]))
        check(server, work)
        loaded(server, bodies, BUSY, 1)  # the first ones fill caches
        loads = {connections: loaded(server, bodies, connections, seconds) for connections in CONNECTIONS[:-1]}
        before = usage(server.mark)
        loads[BUSY] = loaded(server, bodies, BUSY, seconds)
        after = usage(server.mark)
    return Measured(cold, loads, (after.cpu_seconds - before.cpu_seconds) / loads[BUSY].requests, after.memory_mb)


def check(server: Server, work: Work) -> None:
    """See that the first rows get the model's own probabilities; `ServerError` tells the first answer that does not."""
    with httpx.Client() as client:
        for row, score in zip(work.rows[:CHECKED], work.scores, strict=False):
            answer = server.post(client, server.body(row))
            if not _right(server, answer, score):
                raise ServerError(f"{server.name} answers {answer.status_code} {answer.text[:300]} where the model says {score}")


def _right(server: Server, answer: httpx.Response, score: float) -> bool:
    try:
        return answer.is_success and abs(server.score(answer.content) - score) <= TOLERANCE
    except (LookupError, TypeError, ValueError):  # an answer of another form
        return False
