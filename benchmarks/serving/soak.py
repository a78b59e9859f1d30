"""Steady load for a long time: every request's fate, and the memory of every process by the minute."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.record import Record
from benchmarks.serving.client import Connection, NoAnswerError
from benchmarks.serving.departures import body, row
from benchmarks.serving.processes import PARENT, SHIPPER, WORKER, of, resident_mb

CONNECTIONS = 32
RENEWED = 20
"""Requests of a connection, so that a worker that was started again gets its share of them."""
KILL_SECONDS = 1.0
"""A connection that broke so soon after a kill of a worker was that worker's."""

WARM_SHARE = 0.2
MEMORY_SECONDS = 60.0
JUDGED_SECONDS = 600.0
"""A shorter run shows how a process warms up, not whether it leaks."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A request without a 200: when it ended (monotonic), why, whether its connection broke."""

    key: str
    at: float
    why: str
    broke: bool


@dataclass
class Seen:
    """What became of all requests. `answered`: by request id the release and the score."""

    sent: int = 0
    answered: dict[str, tuple[str, float]] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)
    flags: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)

    def answer(self, content: bytes, seconds: float) -> None:
        """Note an answer of 200."""
        told = json.loads(content)
        (result,) = told["results"]
        self.answered[told["request_id"]] = (result["release"], result["score"])
        self.flags.update(result["flags"])
        self.milliseconds.append(seconds * 1000)

    def divided(self, kills: Sequence[float]) -> tuple[list[Lost], list[Lost]]:
        """Those that were in flight in a killed worker, and those that failed."""
        excused = [one for one in self.lost if one.broke and any(0 <= one.at - kill <= KILL_SECONDS for kill in kills)]
        return excused, [one for one in self.lost if one not in excused]

    def failures(self, failed: Sequence[Lost]) -> Counter[str]:
        """How often what."""
        return Counter(one.why for one in failed)

    def broken_keys(self) -> set[str]:
        """The keys of requests of which nobody knows whether they were answered."""
        return {one.key for one in self.lost if one.broke}

    def by_release(self) -> dict[str, int]:
        """Answers of each release."""
        return dict(Counter(release for release, _ in self.answered.values()))

    def quantile_ms(self, share: float) -> float:
        """Of the time from a request's due moment to its answer."""
        return float(np.quantile(self.milliseconds, share))


async def steady(port: int, path: str, per_second: float, seconds: float, seen: Seen) -> None:
    """Open-loop: each connection has its own clock, and times a request from when it was due."""
    began = time.monotonic() + 0.1
    step = CONNECTIONS / per_second
    clients = [_client(port, path, n, began + n / per_second, step, began + seconds, seen) for n in range(CONNECTIONS)]
    await asyncio.gather(*clients)


async def _client(port: int, path: str, name: int, due: float, step: float, until: float, seen: Seen) -> None:
    number = name
    async with Connection(port, path) as connection:
        while due < until:
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            await _ask(connection, f"{name}-{number}", number, due, seen)
            if number // CONNECTIONS % RENEWED == 0:
                connection.close()
            number, due = number + CONNECTIONS, due + step


async def _ask(connection: Connection, key: str, number: int, due: float, seen: Seen) -> None:
    seen.sent += 1
    try:
        answer = await connection.post(body(row(number % 100_000, key)))
    except (NoAnswerError, ConnectionResetError) as error:  # reset: it waited to be accepted by a worker that was killed
        seen.lost.append(Lost(key, time.monotonic(), f"broke: {error}", broke=True))
    except (OSError, TimeoutError) as error:
        seen.lost.append(Lost(key, time.monotonic(), f"{type(error).__name__}: {error}", broke=False))
    else:
        if answer.status == 200:
            seen.answer(answer.body, time.monotonic() - due)
        else:
            why = f"{answer.status}: {answer.body[:200].decode(errors='replace')}"
            seen.lost.append(Lost(key, time.monotonic(), why, broke=False))


class Memory:
    """Resident memory of the parent, the shipper, the eldest worker (which nobody kills) and the youngest, by the minute."""

    def __init__(self, service: subprocess.Popen[bytes]) -> None:
        self._service = service
        self._found: dict[str, list[tuple[float, float]]] = {}

    async def watch(self, seconds: float) -> None:
        """Measure until `seconds` are over, at least a dozen times."""
        began, every = time.monotonic(), min(MEMORY_SECONDS, seconds / 12)
        while (at := time.monotonic() - began) < seconds:
            await asyncio.to_thread(self._measure, at)
            await asyncio.sleep(every)

    def judge(self, record: Record, target: float) -> None:
        """Of each process that lived all the time: its memory at the end by a fitted line over that after it warmed up."""
        for name, found in self._found.items():
            record.samples[f"memory of the {name}"] = {"resident_mb": [round(mb, 2) for _, mb in found]}
            warm = [one for one in found if one[0] >= found[-1][0] * WARM_SHARE]
            if name == "youngest worker" or len(warm) < 2:
                continue
            slope, begin = np.polyfit(*zip(*warm, strict=True), 1)
            first, last = begin + slope * warm[0][0], begin + slope * warm[-1][0]
            record.fact(f"memory of the {name}, slope in MB an hour", round(float(slope) * 3600, 2))
            if found[-1][0] >= JUDGED_SECONDS:
                record.ratio(f"memory of the {name}, at the end / after it warmed up", float(last / first), target, "lower")

    def _measure(self, at: float) -> None:
        workers = of(self._service, WORKER)
        named = {PARENT: of(self._service, PARENT)[:1], SHIPPER: of(self._service, SHIPPER)[:1]}
        named |= {"eldest worker": workers[:1], "youngest worker": workers[1:][-1:]}
        for name, found in named.items():
            if found and (mb := resident_mb(found[0])) is not None:
                self._found.setdefault(name, []).append((at, mb))
