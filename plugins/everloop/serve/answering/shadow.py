"""Scores rows by the other release on trial, after they were answered: nobody waits for it, and it gives way to load."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from itertools import groupby

from everloop.serve.answering.batch import Shadowed
from everloop.serve.block import Block, joined
from everloop.serve.features import vectors
from everloop.serve.features.vectors import Vectors
from everloop.serve.log.record import ShadowRecord
from everloop.serve.release import LoadedRelease

ROWS = 10_000
"""Rows that may wait (ours: a second or so of work); what comes beyond them is not scored, and counted."""

_AT_ONCE = 64
"""Rows that are scored together when they came one by one."""

_GATHER_SECONDS = 0.02
"""How long the first that comes waits for others: to hand rows to the thread wakes it, which costs as much as scoring many."""

_LOG = logging.getLogger("everloop.serve.answering.shadow")

_Said = tuple[float | None, str | None]
"""A row's score, or the error that it raised."""


class Shadows:
    """A bounded queue, worked off by one task with the predictions in a thread: their C code leaves the event loop free.

    `write` puts records into the prediction log; `shed` is told of rows that nobody will score: use case, count.
    """

    def __init__(
        self, write: Callable[[Sequence[ShadowRecord]], None], shed: Callable[[str, int], None], maximum: int = ROWS
    ) -> None:
        self._write, self._shed, self._maximum = write, shed, maximum
        self._waiting: deque[Shadowed] = deque()
        self._rows = 0
        self._task: asyncio.Task[None] | None = None

    def offer(self, shadowed: Shadowed) -> None:
        """Take rows to score later, or let them go."""
        if self._rows + len(shadowed.names) > self._maximum:
            self._shed(shadowed.use_case, len(shadowed.names))
            return
        self._waiting.append(shadowed)
        self._rows += len(shadowed.names)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work(), context=Context())

    async def finish(self) -> None:
        """Score what waits."""
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        try:
            await asyncio.sleep(_GATHER_SECONDS)
            while self._waiting:
                await asyncio.sleep(0)  # answers first
                await self._score(self._next())
        finally:
            self._task = None

    def _next(self) -> Shadowed:
        """The first that waits, and those after it that the same release scores, up to a number of rows."""
        group = [self._waiting.popleft()]
        rows = len(group[0].names)
        while self._waiting and _alike(self._waiting[0], group[0]) and rows + len(self._waiting[0].names) <= _AT_ONCE:
            group.append(self._waiting.popleft())
            rows += len(group[-1].names)
        self._rows -= rows
        return _together(group)

    async def _score(self, shadowed: Shadowed) -> None:
        try:
            known = shadowed.vectors or await shadowed.release.features.read(shadowed.block)
            requests = [request for request, _, _ in shadowed.names]
            said = await asyncio.to_thread(_scored, shadowed.release, requests, shadowed.block, known)
        except Exception as raised:
            said = _failed(len(shadowed.names), raised)
        self._log(shadowed, said)

    def _log(self, shadowed: Shadowed, said: Sequence[_Said]) -> None:
        records = [
            ShadowRecord(
                use_case=shadowed.use_case,
                request_id=request,
                row_number=row,
                at=at,
                shadow_release=shadowed.release.id,
                shadow_score=score,
                error=error,
            )
            for (request, row, at), (score, error) in zip(shadowed.names, said, strict=True)
        ]
        try:
            self._write(records)
        except OSError as raised:
            _LOG.error("shadow scores of %d rows cannot be written: %s", len(records), raised)
            self._shed(shadowed.use_case, len(records))


def _scored(release: LoadedRelease, requests: Sequence[str], block: Block, known: Vectors) -> list[_Said]:
    """What a release says of each row. Requests that it cannot score together are tried one by one: none pays for another.

    `requests`: the id of each row's, those of one request together.
    """
    try:
        return [(score, None) for score in release.score(block, known).scores]
    except Exception as raised:
        parts = [[*rows] for _, rows in groupby(range(len(requests)), key=requests.__getitem__)]
        if len(parts) == 1:
            return _failed(len(requests), raised)
    return [
        one for rows in parts for one in _scored(release, [requests[row] for row in rows], block.take(rows), known.take(rows))
    ]


def _failed(rows: int, raised: Exception) -> list[_Said]:
    """Whatever it is, it is the release's: that is what a trial is to show."""
    return [(None, f"{type(raised).__name__}: {raised}")] * rows


def _alike(one: Shadowed, other: Shadowed) -> bool:
    return one.release is other.release and (one.vectors is None) == (other.vectors is None)


def _together(group: Sequence[Shadowed]) -> Shadowed:
    first = group[0]
    if len(group) == 1:
        return first
    names = [name for one in group for name in one.names]
    known = [one.vectors for one in group if one.vectors is not None]
    block = joined([one.block for one in group])
    return Shadowed(first.release, first.use_case, names, block, vectors.joined(known) if known else None)
