"""What is asked of the service, and what it answers, whatever the bytes they came and go as."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from everloop.serve.block import Block
from everloop.serve.follower import Serving
from everloop.serve.observe.passage import Marks


@dataclass(slots=True)
class Request:
    """Rows, read and checked, and the releases that serve them. `began` is on the clock of `time.perf_counter`.

    `marks`: when the batch that answered it came through which stage.
    """

    id: str
    serving: Serving
    block: Block
    explain: bool
    at: datetime
    began: float
    marks: Marks | None = None

    @property
    def use_case(self) -> str:
        """Whose rows these are."""
        return self.serving.champion.manifest.use_case


@dataclass(slots=True)
class Answer:
    """A value a row. `arms`, `releases`: who answered. Rows without a score could not be scored by anyone."""

    request_id: str
    keys: list[str]
    scores: list[float | None]
    decisions: list[bool | None]
    arms: list[str]
    releases: list[str]
    flags: list[tuple[str, ...]]
    contributions: list[dict[str, float]] | None


class RequestIds:
    """Names that no two requests share: 80 random bits of this process, and a count."""

    def __init__(self) -> None:
        self._process = secrets.token_hex(10)
        self._count = itertools.count()

    def __call__(self) -> str:
        """The next one, 32 hex digits."""
        return f"{self._process}{next(self._count):012x}"


def result(answer: Answer, row: int) -> dict[str, Any]:
    """One row of an answer, as JSON has it."""
    if answer.scores[row] is None:
        return {"key": answer.keys[row]}
    told = {
        "key": answer.keys[row],
        "score": answer.scores[row],
        "decision": answer.decisions[row],
        "arm": answer.arms[row],
        "release": answer.releases[row],
        "flags": answer.flags[row],
    }
    return told if answer.contributions is None else {**told, "contributions": answer.contributions[row]}
