"""Requests that are answered together, and what becomes of them: plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from everloop.flags import UNAVAILABLE
from everloop.serve.answering.arms import CHALLENGER, Assignment, assigned
from everloop.serve.block import Block, joined
from everloop.serve.features.vectors import Vectors
from everloop.serve.follower import Serving
from everloop.serve.log.record import Record
from everloop.serve.problems import Problem, Refused
from everloop.serve.release import LoadedRelease, Scored
from everloop.serve.request import Answer, Request

if TYPE_CHECKING:
    import pyarrow as pa

FELL_BACK = "challenger_failed"


@dataclass(slots=True)
class Batch:
    """Requests that the same releases serve, row after row. `began`: when scoring did, on the clock of `time.perf_counter`."""

    serving: Serving
    requests: Sequence[Request]
    block: Block
    entities: list[str]
    arms: list[Assignment]
    began: float = 0.0

    @classmethod
    def of(cls, requests: Sequence[Request]) -> Batch:
        """Join requests of one `serving`, and assign each row its arm."""
        serving, block = requests[0].serving, joined([request.block for request in requests])
        entities = serving.champion.entities(block)
        share = _on_trial(serving).manifest.shadow_share
        return cls(serving, requests, block, entities, assigned(serving.state, entities, block.keys, share))

    @property
    def challenged(self) -> list[int]:
        """The rows that the challenger is to answer."""
        if self.serving.state.challenger is None:
            return []
        return [row for row, arm in enumerate(self.arms) if arm.arm == CHALLENGER]

    @property
    def unscored(self) -> str | None:
        """The release that is to score in shadow and is not loaded."""
        return self.serving.state.shadow if self.serving.trial is None else None


@dataclass(slots=True)
class Trial:
    """What one release made of some rows: where each row stands in `scored`, or why there is nothing; and its seconds."""

    release: str
    place: Mapping[int, int] | range
    scored: Scored | None = None
    error: str | None = None
    seconds: float = 0.0


@dataclass(slots=True)
class Spoken:
    """What the champion said, and the challenger if it was asked; rows that it failed on fell back to the champion."""

    first: Trial
    other: Trial | None
    fallen: set[int]


@dataclass(slots=True)
class Shadowed:
    """Rows that another release scores after they were answered: their names in the log, and what it is given."""

    release: LoadedRelease
    use_case: str
    names: list[tuple[str, int, datetime]]
    block: Block
    vectors: Vectors | None


@dataclass(slots=True)
class Answered:
    """What the clients get, what the log keeps, what is left to do. `troubled`: a release could not score its rows.

    Rows of a large request are logged as `columns` instead of `records`.
    """

    answers: list[Answer]
    records: Sequence[Record]
    shadowed: list[Shadowed]
    troubled: bool
    columns: Sequence[pa.RecordBatch] = ()


def missing(batch: Batch, vectors: Vectors) -> dict[int, Refused]:
    """By position among the requests the refusals of those that lack features, where the use case will not score without."""
    refused, row = {}, 0
    for position, request in enumerate(batch.requests):
        flags = vectors.flags[row : row + len(request.block)]
        row += len(request.block)
        problems = [
            Problem(f"rows[{i}]", flag, "has no fresh features and this use case refuses to score without", "send it again later")
            for i, earned in enumerate(flags)
            for flag in earned
        ]
        if problems:
            away = any(problem.value == UNAVAILABLE for problem in problems)
            refused[position] = Refused(503 if away else 422, problems)
    return refused


def _on_trial(serving: Serving) -> LoadedRelease:
    """The release whose rollout is under way: the challenger, or in WATCH the champion itself."""
    return serving.trial if serving.trial and serving.state.challenger == serving.trial.id else serving.champion
