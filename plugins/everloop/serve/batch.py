"""Requests that are answered together: who answers each row, and what the log keeps of it. Pure but for the clock."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.flags import UNAVAILABLE
from everloop.serve.arms import CHALLENGER, CHAMPION, Assignment, assigned
from everloop.serve.block import FEW, Block, joined, rows_of
from everloop.serve.features.vectors import Vectors
from everloop.serve.follower import Serving
from everloop.serve.log.record import SHADOW_FAILED, Record
from everloop.serve.problems import Problem, Refused
from everloop.serve.release import LoadedRelease, Scored
from everloop.serve.request import Answer, Request

if TYPE_CHECKING:
    import pyarrow as pa

FELL_BACK = "challenger_failed"


@dataclass(slots=True)
class Batch:
    """Requests that the same releases serve, row after row; `begins` says at which row each request begins."""

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


def answer(batch: Batch, champions: Vectors, trials: Vectors | None) -> Answered:
    """Score a batch. `champions`: stored features of all rows by the champion's plan; `trials`: of the challenged ones by the
    challenger's, `None` when it is not loaded or has none to answer.

    A challenger that fails costs nobody an answer: its rows get the champion's, and its failure is logged.
    """
    batch.began, challenged = time.perf_counter(), batch.challenged
    other = _challenger(batch, challenged, trials) if challenged else None
    fallen = set(challenged) if other and other.error else set()
    own = [row for row, arm in enumerate(batch.arms) if arm.arm == CHAMPION or row in fallen] if challenged else None
    first = _attempt(batch.serving.champion, batch, own, champions)
    spoken = Spoken(first, other, fallen)
    shadowed = [] if first.error else _shadowed(batch, fallen, champions)
    if len(batch.requests) == 1 and len(batch.block) > FEW and (told := _by_column(batch, spoken)):
        return Answered([told[0]], (), shadowed, bool(first.error or fallen), told[1])
    alone = other is None and first.scored is not None and (batch.serving.state.shadow is None or batch.serving.trial is not None)
    answers, records = _told_of_one(batch, first) if alone else _Telling(batch, spoken).told()
    return Answered(answers, records, shadowed, bool(first.error or fallen))


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


def _challenger(batch: Batch, rows: list[int], vectors: Vectors | None) -> Trial:
    serving = batch.serving
    if serving.trial is None or vectors is None:
        name = serving.state.shadow or ""
        return Trial(name, {}, error=serving.problem or f"release {name} is not loaded")
    return _attempt(serving.trial, batch, rows, vectors)


def _attempt(release: LoadedRelease, batch: Batch, rows: list[int] | None, vectors: Vectors) -> Trial:
    """Score `rows` (all for `None`), whose features are in `vectors`, or in their places of those of all rows.

    Whatever the release raises becomes the trial's error, since its code came with the release.
    """
    block = batch.block
    place: Mapping[int, int] | range = range(len(block))
    if rows is not None:
        place = {row: i for i, row in enumerate(rows)}
        if not rows:
            return Trial(release.id, place)
        block = block.take(rows)
        vectors = vectors.take(rows) if len(vectors.flags) == len(batch.block) else vectors
    started = time.perf_counter()
    explain = batch.requests[0].explain
    try:
        scored = release.score(block, vectors, explain)
    except Exception as error:
        return Trial(release.id, place, error=f"{type(error).__name__}: {error}")
    return Trial(release.id, place, scored, seconds=time.perf_counter() - started)


def _told_of_one(batch: Batch, first: Trial) -> tuple[list[Answer], list[Record]]:
    """What `_Telling` says where the champion alone answered and there is nothing to say of another: nearly always."""
    scored, block, rollout = first.scored, batch.block, batch.serving.state.rollout
    assert scored is not None  # noqa: S101 - see `answer`
    fields, vectors = rows_of(block.request, len(block)), rows_of(scored.vector, len(block))
    flags = [warned + earned for warned, earned in zip(block.flags, scored.flags, strict=True)]
    answers, records, row = [], [], 0
    for request in batch.requests:
        rows = slice(row, row + len(request.block))
        use_case, latency = request.use_case, (batch.began - request.began + first.seconds) * 1000
        records += [
            Record(
                use_case=use_case,
                request_id=request.id,
                row_number=one - row,
                key=block.keys[one],
                entity=batch.entities[one],
                at=request.at,
                as_of=block.as_of[one],
                arm=CHAMPION,
                rollout=rollout,
                release=first.release,
                score=scored.scores[one],
                decision=scored.decisions[one],
                shadow_release=None,
                shadow_score=None,
                features={"request": fields[one], "vector": vectors[one]},
                flags=list(flags[one]),
                error=None,
                latency_ms=latency,
            )
            for one in range(rows.start, rows.stop)
        ]
        count, shares = len(request.block), scored.contributions[rows] if scored.contributions is not None else None
        scores: list[float | None] = [*scored.scores[rows]]
        decisions: list[bool | None] = [*scored.decisions[rows]]
        who = [CHAMPION] * count, [first.release] * count
        answers.append(Answer(request.id, request.block.keys, scores, decisions, *who, flags[rows], shares))
        row = rows.stop
    return answers, records


class _Telling:
    """Puts together, row by row, what both releases said."""

    def __init__(self, batch: Batch, spoken: Spoken) -> None:
        self._batch, self._first, self._other, self._fallen = batch, spoken.first, spoken.other, spoken.fallen
        self._serving = batch.serving
        self._vectors = {
            id(trial): rows_of(trial.scored.vector, len(trial.place))
            for trial in (spoken.first, spoken.other)
            if trial and trial.scored
        }
        self._fields = rows_of(batch.block.request, len(batch.block))
        self._unscored_shadow = self._serving.state.shadow if self._serving.trial is None else None

    def told(self) -> tuple[list[Answer], list[Record]]:
        answers, records, row = [], [], 0
        for request in self._batch.requests:
            told = Answer(request.id, request.block.keys, [], [], [], [], [], [] if request.explain else None)
            for number in range(len(request.block)):
                records.append(self._row(row, request, number, told))
                row += 1
            answers.append(told)
        return answers, records

    def _row(self, row: int, request: Request, number: int, told: Answer) -> Record:
        arm, block = self._batch.arms[row], self._batch.block
        challenged = arm.arm == CHALLENGER and self._other is not None
        assigned = self._other if challenged and self._other else self._first
        answering = self._first if row in self._fallen else assigned
        flags = self._flags(row, arm, answering)
        score, decision = _said(answering, row, told, flags, CHAMPION if answering is self._first else CHALLENGER)
        fell = row in self._fallen
        return Record(
            use_case=request.use_case,
            request_id=request.id,
            row_number=number,
            key=block.keys[row],
            entity=self._batch.entities[row],
            at=request.at,
            as_of=block.as_of[row],
            arm=arm.arm,
            rollout=self._serving.state.rollout,
            release=assigned.release,
            score=None if fell else score,
            decision=None if fell else decision,
            shadow_release=self._first.release if fell else self._unscored_shadow if arm.shadow else None,
            shadow_score=score if fell else None,
            features={"request": self._fields[row], "vector": self._vector(answering, row)},
            flags=list(flags),
            error=assigned.error,
            latency_ms=(self._batch.began - request.began + answering.seconds) * 1000,
        )

    def _flags(self, row: int, arm: Assignment, answering: Trial) -> tuple[str, ...]:
        flags = self._batch.block.flags[row]
        if answering.scored is not None:
            flags += answering.scored.flags[answering.place[row]]
        if row in self._fallen:
            flags += (FELL_BACK,)
        elif arm.shadow and self._unscored_shadow is not None:
            flags += (SHADOW_FAILED,)
        return flags

    def _vector(self, answering: Trial, row: int) -> Mapping[str, Any]:
        return self._vectors[id(answering)][answering.place[row]] if answering.scored else {}


def _by_column(batch: Batch, spoken: Spoken) -> tuple[Answer, list[pa.RecordBatch]] | None:
    """The same by column; `None` where a release's own code made values that no column holds."""
    from everloop.serve.columns.telling import told

    try:
        return told(batch, spoken)
    except (ValueError, TypeError, OverflowError):
        return None


def _shadowed(batch: Batch, fallen: set[int], champions: Vectors) -> list[Shadowed]:
    """The rows that the other release is still to score: after its answer, no row waits for it."""
    if (trial := batch.serving.trial) is None:
        return []
    wanted = [row for row, arm in enumerate(batch.arms) if arm.shadow and row not in fallen]
    names = [(request.id, number, request.at) for request in batch.requests for number in range(len(request.block))]
    found = []
    for arm, release in ((CHAMPION, trial), (CHALLENGER, batch.serving.champion)):
        if rows := [row for row in wanted if batch.arms[row].arm == arm]:
            same = release.features.views == batch.serving.champion.features.views
            vectors = champions.take(rows) if same else None
            block = batch.block.take(rows)
            found.append(Shadowed(release, batch.requests[0].use_case, [names[row] for row in rows], block, vectors))
    return found


def _said(answering: Trial, row: int, told: Answer, flags: tuple[str, ...], arm: str) -> tuple[float | None, bool | None]:
    """Add what a release said of a row to an answer."""
    told.arms.append(arm)
    told.releases.append(answering.release)
    told.flags.append(flags)
    scored = answering.scored
    if scored is None:
        told.scores.append(None)
        told.decisions.append(None)
        return None, None
    place = answering.place[row]
    score, decision = scored.scores[place], scored.decisions[place]
    told.scores.append(score)
    told.decisions.append(decision)
    if told.contributions is not None and scored.contributions is not None:
        told.contributions.append(scored.contributions[place])
    return score, decision
