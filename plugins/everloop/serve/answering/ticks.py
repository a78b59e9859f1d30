"""Requests that arrive in one turn of the event loop are answered together: one read, one prediction, one write.

No timer: a request alone is answered at once, and under load the batches grow by themselves, since the loop brings more at a
turn the longer the turn before it took.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass, field

from everloop.serve.answering.answer import answer
from everloop.serve.answering.batch import Answered, Batch, missing
from everloop.serve.answering.shadow import Shadows
from everloop.serve.block import FEW
from everloop.serve.features.vectors import Vectors
from everloop.serve.journal import Journal
from everloop.serve.observe.passage import Marks
from everloop.serve.problems import Refused, refuse
from everloop.serve.request import Answer, Request


@dataclass(slots=True)
class _Work:
    """Requests of one group, and who waits for each."""

    requests: list[Request]
    futures: list[asyncio.Future[Answer]]
    marks: Marks = field(init=False)

    def batch(self) -> Batch:
        batch = Batch.of(self.requests)
        self.marks = Marks(self.requests[0].use_case, time.perf_counter())
        for request in self.requests:
            request.marks = self.marks
        return batch

    def single(self) -> list[_Work]:
        return [_Work([request], [future]) for request, future in zip(self.requests, self.futures, strict=True)]

    def fail(self, error: Exception) -> None:
        for future in self.futures:
            if not future.done():
                future.set_exception(error)


class Ticks:
    """Answers requests by the batch; what they are answered is in the prediction log before anyone has it."""

    def __init__(self, journal: Journal, shadows: Shadows, count: Callable[[Answered, Marks], None]) -> None:
        self._journal, self._shadows, self._count = journal, shadows, count
        self._waiting: list[tuple[Request, asyncio.Future[Answer]]] = []
        self._running: set[asyncio.Task[None]] = set()
        # What is done for many requests must not log under the name of the first.
        self._nobody = Context()

    def answer(self, request: Request, alone: bool = False) -> asyncio.Future[Answer]:
        """The answer, when there is one; it is in the log then. Raises `Refused`.

        `alone`: no other request is in this process's hands, so that there is nothing to wait for.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        if alone:
            self._begin(_Work([request], [future]))
            return future
        if not self._waiting:
            loop.call_soon(self._turn, context=self._nobody)
        self._waiting.append((request, future))
        return future

    def _turn(self) -> None:
        waiting, self._waiting = self._waiting, []
        groups: dict[object, _Work] = {}
        for request, future in waiting:
            # A large one would make the others wait, and an explained one explain them too.
            alone = len(request.block) > FEW
            work = groups.setdefault(id(request) if alone else (id(request.serving), request.explain), _Work([], []))
            work.requests.append(request)
            work.futures.append(future)
        for work in groups.values():
            self._begin(work)

    def _begin(self, work: _Work) -> None:
        """Answer at once when every feature is known and the rows are few, since a thread costs as much; else in a task."""
        try:
            batch = work.batch()
            vectors = _cached(batch) if len(batch.block) <= FEW else None
            if vectors is None:
                self._spawn(self._run(work, batch))
            elif self._may(work, batch, vectors[0]):
                self._conclude(work, *self._answered(work.marks, batch, *vectors))
        except Exception as error:
            work.fail(error)

    def _spawn(self, what: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(what)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, work: _Work, batch: Batch) -> None:
        try:
            vectors = await _read(batch)
            if not self._may(work, batch, vectors[0]):
                return
            if len(batch.block) > FEW:
                self._conclude(work, *await asyncio.to_thread(self._answered, work.marks, batch, *vectors))
            else:
                self._conclude(work, *self._answered(work.marks, batch, *vectors))
        except Exception as error:
            work.fail(error)

    def _may(self, work: _Work, batch: Batch, vectors: Vectors) -> bool:
        """Whether no request is refused for its features; those that are, are, and the others begin again."""
        if batch.serving.champion.manifest.service.on_missing_features != "refuse" or not (refused := missing(batch, vectors)):
            return True
        for position, single in enumerate(work.single()):
            if position in refused:
                single.fail(refused[position])
            else:
                self._begin(single)
        return False

    def _answered(self, marks: Marks, batch: Batch, champions: Vectors, trials: Vectors | None) -> tuple[Answered, int | None]:
        """The answers, logged, and the position of the log to wait for; `None` when requests must be tried one by one."""
        marks.features = time.perf_counter()
        answered = answer(batch, champions, trials)
        marks.score = time.perf_counter()
        if answered.troubled and len(batch.requests) > 1:
            return answered, None
        try:
            return answered, self._logged(answered)
        except OSError as error:
            raise _unwritten(error) from error

    def _logged(self, answered: Answered) -> int:
        return self._journal.columns(answered.columns) if answered.columns else self._journal.rows(answered.records)

    def _conclude(self, work: _Work, answered: Answered, position: int | None) -> None:
        """Let the clients have their answers. A request that a release cannot score fails by itself alone."""
        if position is None:
            for single in work.single():
                self._begin(single)
        elif work.requests[0].serving.champion.manifest.service.durable_log:
            self._spawn(self._when_durable(work, answered, position))
        else:
            self._tell(work, answered)

    async def _when_durable(self, work: _Work, answered: Answered, position: int) -> None:
        try:
            await self._journal.durable(position)
            self._tell(work, answered)
        except OSError as error:
            work.fail(_unwritten(error))

    def _tell(self, work: _Work, answered: Answered) -> None:
        work.marks.log = time.perf_counter()
        self._count(answered, work.marks)
        for future, one in zip(work.futures, answered.answers, strict=True):
            if not future.done():
                future.set_result(one)
        for shadowed in answered.shadowed:
            self._shadows.offer(shadowed)


def _unwritten(error: OSError) -> Refused:
    """An answer that nobody can audit later is worse than none."""
    return refuse(503, "prediction log", None, f"cannot be written: {error}", "free disk space, then send it again")


def _cached(batch: Batch) -> tuple[Vectors, Vectors | None] | None:
    """The stored features for both arms, when all are known; the second is `None` where no release needs them."""
    champions = batch.serving.champion.features.cached(batch.block)
    if champions is None:
        return None
    if (trial := batch.serving.trial) is None or not (rows := batch.challenged):
        return champions, None
    if trial.features.views == batch.serving.champion.features.views:
        return champions, champions
    trials = trial.features.cached(batch.block.take(rows))
    return None if trials is None else (champions, trials)


async def _read(batch: Batch) -> tuple[Vectors, Vectors | None]:
    """The same, from the store where they are not known."""
    champions = await batch.serving.champion.features.read(batch.block)
    if (trial := batch.serving.trial) is None or not (rows := batch.challenged):
        return champions, None
    if trial.features.views == batch.serving.champion.features.views:
        return champions, champions
    return champions, await trial.features.read(batch.block.take(rows))
