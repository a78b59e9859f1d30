"""One score request: assign the arms, score, shadow, fall back, and say what to answer and what to log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from everloop.flags import UNAVAILABLE
from everloop.release import FeaturePlan
from everloop.serve.arms import CHALLENGER, CHAMPION, Assignment, assign
from everloop.serve.features import OnlineStore, Vectors
from everloop.serve.follower import Serving
from everloop.serve.log.record import SHADOW_FAILED, Record
from everloop.serve.problems import Problem, Refused
from everloop.serve.release import LoadedRelease, Scored
from everloop.serve.rows import Row

FELL_BACK = "challenger_failed"

_INLINE_ROWS = 64
"""Up to this many rows a prediction takes about as long as handing it to a thread."""


@dataclass(frozen=True)
class Trial:
    """What one release made of some rows of the request: scores by row position, or why not; and its own milliseconds."""

    release: str
    scored: Mapping[int, Scored] = field(default_factory=dict)
    error: str | None = None
    milliseconds: float = 0.0


@dataclass(frozen=True)
class Answered:
    """What the client gets, row by row, and what the log keeps of it. `failed`: the champion could not answer."""

    results: list[dict[str, Any]]
    records: list[Record]
    failed: str | None = None


@dataclass(frozen=True)
class Request:
    """The rows of one request, read and checked. `began` is on the clock of `time.perf_counter`, `at` on the wall."""

    use_case: str
    id: str
    rows: Sequence[Row]
    explain: bool
    at: datetime
    began: float


class _VectorCache:
    """The feature vectors of a request by plan: two releases with one plan share one read, and both are charged for it."""

    def __init__(self, rows: Sequence[Row], store: OnlineStore) -> None:
        self._rows = rows
        self._store = store
        self._known: list[tuple[FeaturePlan, Vectors, float]] = []

    async def of(self, release: LoadedRelease) -> tuple[Vectors, float]:
        for plan, vectors, seconds in self._known:
            if plan == release.manifest.plan:
                return vectors, seconds
        started = time.perf_counter()
        vectors = await release.vectors(self._rows, self._store)
        seconds = time.perf_counter() - started
        self._known.append((release.manifest.plan, vectors, seconds))
        return vectors, seconds


async def answer(request: Request, serving: Serving, store: OnlineStore) -> Answered:
    """Score a request by the release that each row's entity is assigned to.

    A challenger that fails costs nobody an answer: its rows get the champion's, and its failure is logged. Raises
    `Refused` (422) when features are missing and the use case refuses to score without them.
    """
    rows, champion = request.rows, serving.champion
    entities = [champion.entity(row) for row in rows]
    share = _on_trial(serving).manifest.shadow_share
    arms = [assign(serving.state, entity, row.key, share) for entity, row in zip(entities, rows, strict=True)]
    vectors = _VectorCache(rows, store)
    if champion.manifest.service.on_missing_features == "refuse":
        _refuse_missing((await vectors.of(champion))[0])
    shared = time.perf_counter() - request.began
    other = await _other(serving, request, arms, vectors)
    wanted = [i for i, arm in enumerate(arms) if arm.arm == CHAMPION or arm.shadow or (other and other.error)]
    first = await _attempt(champion, request, wanted, vectors)
    made = [_row(i, request, serving, entities[i], arms[i], first, other, shared * 1000) for i in range(len(rows))]
    return Answered([result for result, _ in made], [record for _, record in made], first.error)


def _on_trial(serving: Serving) -> LoadedRelease:
    """The release whose rollout is under way: the challenger, or in WATCH the champion itself."""
    return serving.trial if serving.trial and serving.state.challenger == serving.trial.id else serving.champion


async def _other(serving: Serving, request: Request, arms: Sequence[Assignment], vectors: _VectorCache) -> Trial | None:
    """What the release on trial makes of the rows that it answers or shadows; `None` when there are none."""
    wanted = [i for i, arm in enumerate(arms) if arm.arm == CHALLENGER or arm.shadow]
    if not wanted or serving.state.shadow is None:
        return None
    if serving.trial is None:
        return Trial(serving.state.shadow, error=serving.problem or f"release {serving.state.shadow} is not loaded")
    return await _attempt(serving.trial, request, wanted, vectors)


async def _attempt(release: LoadedRelease, request: Request, wanted: Sequence[int], vectors: _VectorCache) -> Trial:
    """Score the wanted rows; whatever the release raises becomes the trial's error, since its code came with the release."""
    if not wanted:
        return Trial(release.id)
    try:
        found, seconds = await vectors.of(release)
        started = time.perf_counter()
        rows = [request.rows[i] for i in wanted]
        picked = Vectors(tuple(found.values[i] for i in wanted), tuple(found.flags[i] for i in wanted))
        if len(rows) > _INLINE_ROWS:
            scored = await asyncio.to_thread(release.score, rows, picked, request.explain)
        else:
            scored = release.score(rows, picked, request.explain)
        seconds += time.perf_counter() - started
    except Exception as error:
        return Trial(release.id, error=f"{type(error).__name__}: {error}")
    return Trial(release.id, dict(zip(wanted, scored, strict=True)), milliseconds=seconds * 1000)


def _row(
    i: int, request: Request, serving: Serving, entity: str, arm: Assignment, first: Trial, other: Trial | None, shared: float
) -> tuple[dict[str, Any], Record]:
    """The answer to one row, and its record."""
    row = request.rows[i]
    assigned, beside = (other, first) if arm.arm == CHALLENGER and other else (first, other)
    answering = first if assigned.error else assigned
    scored = answering.scored.get(i)
    own = assigned.scored.get(i)
    extra: tuple[str, ...] = (FELL_BACK,) if assigned is not first and assigned.error else ()
    if arm.shadow and beside is not None and beside.error:
        extra = (*extra, SHADOW_FAILED)
    flags = [*row.flags, *(scored.flags if scored else ()), *extra]
    shadowed = beside.scored.get(i) if beside else None
    record = Record(
        use_case=request.use_case,
        request_id=request.id,
        row_number=i,
        key=row.key,
        entity=entity,
        at=request.at,
        as_of=row.as_of,
        arm=arm.arm,
        rollout=serving.state.rollout,
        release=assigned.release,
        score=own.score if own else None,
        decision=own.decision if own else None,
        shadow_release=beside.release if beside and (arm.shadow or extra) else None,
        shadow_score=shadowed.score if shadowed else None,
        features={"request": row.request, "vector": scored.vector if scored else {}},
        flags=flags,
        error=assigned.error,
        latency_ms=shared + answering.milliseconds,
    )
    return _result(row, arm, answering, scored, flags), record


def _result(row: Row, arm: Assignment, answering: Trial, scored: Scored | None, flags: list[str]) -> dict[str, Any]:
    if scored is None:
        return {"key": row.key}
    result = {
        "key": row.key,
        "score": scored.score,
        "decision": scored.decision,
        "arm": CHAMPION if FELL_BACK in flags else arm.arm,
        "release": answering.release,
        "flags": flags,
    }
    return result if scored.contributions is None else {**result, "contributions": scored.contributions}


def _refuse_missing(vectors: Vectors) -> None:
    problems = [
        Problem(f"rows[{i}]", flag, "has no fresh features and this use case refuses to score without", "send it again later")
        for i, flags in enumerate(vectors.flags)
        for flag in flags
    ]
    if problems:
        unavailable = any(problem.value == UNAVAILABLE for problem in problems)
        raise Refused(503 if unavailable else 422, problems)
