"""What the routes do, without HTTP: score, outcomes, push, check, state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import psycopg

from everloop.decide.policy import ServicePolicy
from everloop.errors import EverloopError
from everloop.ports import TrafficLog
from everloop.serve.answering.batch import Answered
from everloop.serve.answering.shadow import Shadows
from everloop.serve.answering.ticks import Ticks
from everloop.serve.block import Block
from everloop.serve.features.store import OnlineStore, StoreAway
from everloop.serve.follower import Follower, Serving
from everloop.serve.journal import Journal
from everloop.serve.metrics import Metrics
from everloop.serve.observe.passage import Marks
from everloop.serve.problems import Problem, Refused, refuse
from everloop.serve.push import Pusher, push
from everloop.serve.reading.rows import KEY, ROWS, listed
from everloop.serve.reading.values import typed
from everloop.serve.release import LoadedRelease
from everloop.serve.request import Answer, Request, RequestIds

_CHECK_ROWS = 200


class Service:
    """The scoring service of one process. Everything it needs is given; it owns only counters."""

    def __init__(self, follower: Follower, store: OnlineStore, journal: Journal, traffic: TrafficLog, metrics: Metrics) -> None:
        self.metrics = metrics
        self.shadows = Shadows(journal.shadows, metrics.shed)
        self._follower = follower
        self._store = store
        self._ticks = Ticks(journal, self.shadows, self._count)
        self._ids = RequestIds()
        self._traffic = traffic
        self._pusher = Pusher()
        self.in_flight: dict[str, int] = {}

    def limits(self, use_case: str) -> ServicePolicy:
        """The limits of a use case, by its serving release."""
        serving = self._follower.serving(use_case)
        return serving.champion.manifest.service if serving else ServicePolicy()

    def serving(self, use_case: str) -> Serving:
        """What answers for a use case. `Refused` (404, 503) when nothing does."""
        if (serving := self._follower.serving(use_case)) is not None:
            return serving
        if (reason := self._follower.unserved(use_case)) is not None:
            raise refuse(503, "use_case", use_case, f"has nothing that answers: {reason}", f"look at GET /v1/{use_case}")
        raise self._unknown(use_case)

    def name(self) -> str:
        """A name for a request that came."""
        return self._ids()

    async def score(self, request: Request, alone: bool) -> Answer:
        """Answer rows; they are in the prediction log before this returns. `alone`: see `Ticks.answer`."""
        answer = await self._ticks.answer(request, alone)
        if None in answer.scores:
            raise refuse(
                500,
                "release",
                request.serving.champion.id,
                "could not score this request",
                f"tell the owner; request {request.id} is in the log",
            )
        return answer

    async def outcomes(self, use_case: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Record what became of predictions; a newer `known_at` wins."""
        if use_case not in self._follower.use_cases():
            raise self._unknown(use_case)
        outcomes = _outcomes(listed(body, "outcomes", 10_000))
        try:
            await asyncio.to_thread(self._traffic.record_outcomes, use_case, outcomes)
        except (EverloopError, psycopg.Error) as error:
            raise refuse(503, "database", "outcome", str(error), "send the same outcomes again later") from error
        return {"accepted": len(outcomes)}

    async def push(self, use_case: str, view: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Push raw rows to a view's online table."""
        plan = self.serving(use_case).champion.manifest.plan
        rows = listed(body, ROWS, 10_000)
        try:
            return {"written": await push(plan, view, rows, self._pusher, self._store)}
        except StoreAway as error:
            raise refuse(503, "online store", view, f"does not answer: {error}", "send the same rows again later") from error

    async def check(self, use_case: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Load a release beside the serving one and score rows by it, one at a time, as requests come.

        `latency_ms` is the 99th percentile of the rows, null without any. Nothing is logged and nobody is answered by it.
        """
        release = body.get("release")
        if not isinstance(release, str):
            raise refuse(400, "release", release, "must be the name of a release", "send the release to check")
        raw = listed(body, ROWS, _CHECK_ROWS, may_be_empty=True)
        try:
            loaded = await asyncio.to_thread(self._follower.releases.get, release, use_case)
        except Exception as error:
            raise refuse(
                422, "release", release, f"does not load: {error}", "repair or retrain it; nothing was changed"
            ) from error
        named = [{KEY: f"check-{i}", **row} for i, row in enumerate(raw)]
        block = loaded.reader.rows(named, "rows[{}].", datetime.now(UTC))
        try:
            return await self._trial(loaded, block)
        except Exception as error:
            words = f"does not score: {type(error).__name__}: {error}"
            raise refuse(422, "release", release, words, "repair or retrain it; nothing was changed") from error

    async def look_at_features(self) -> None:
        """Renew what the metrics say of the newest event of each view."""
        for use_case in self._follower.use_cases():
            if (serving := self._follower.serving(use_case)) is None:
                continue
            for view, newest in (await self._store.newest(serving.champion.manifest.plan)).items():
                self.metrics.newest.note(use_case, view, newest)

    def state(self, use_case: str) -> dict[str, Any]:
        """Who serves, what is loaded, what a request looks like."""
        serving = self._follower.serving(use_case)
        if serving is None and use_case not in self._follower.use_cases():
            raise self._unknown(use_case)
        loaded = [
            {
                "release": one.id,
                "trained_through": one.manifest.trained_through,
                "loaded_at": one.loaded_at,
                "load_ms": round(one.load_ms, 1),
            }
            for one in self._follower.releases.of(use_case)
        ]
        return {
            "use_case": use_case,
            "seq": serving.seq if serving else None,
            "state": asdict(serving.state) if serving else None,
            "problem": serving.problem if serving else self._follower.unserved(use_case),
            "ledger": self._follower.problem or "ok",
            "online_store": self._store.problem or "ok",
            "releases": loaded,
            "request": _schema(serving.champion) if serving else None,
        }

    def _unknown(self, use_case: str) -> Refused:
        if not self._follower.looked.is_set():
            return refuse(503, "use_case", use_case, "the ledger was not read yet", "wait until /readyz answers 200")
        known = ", ".join(self._follower.use_cases()) or "none"
        return refuse(404, "use_case", use_case, f"is not in the ledger; known: {known}", "release a model of it first")

    def full(self, use_case: str) -> bool:
        """Whether as many requests are in flight as may be: then the next is refused, so that no queue grows without bound."""
        return self.in_flight.get(use_case, 0) >= self.limits(use_case).maximum_in_flight

    def turned_away(self, use_case: str) -> None:
        """Note a request that was refused before anything was read of it; of a name that nobody knows, nothing."""
        if self._follower.serving(use_case) is not None:
            self.metrics.turned_away(use_case)

    def enter(self, use_case: str) -> None:
        """Take a place among the requests in flight, until `leave`."""
        self.in_flight[use_case] = self.in_flight.get(use_case, 0) + 1

    def leave(self, use_case: str) -> None:
        """Give a place back."""
        self.in_flight[use_case] -= 1

    def _count(self, answered: Answered, marks: Marks) -> None:
        self.metrics.batch(marks)
        for record in answered.records:
            self.metrics.answered_row(record)
        for columns in answered.columns:
            self.metrics.answered_columns(columns)

    async def _trial(self, loaded: LoadedRelease, block: Block) -> dict[str, Any]:
        scores, taken = [], []
        for row in range(len(block)):
            began, alone = time.perf_counter(), block.take([row])
            scored = loaded.score(alone, await loaded.features.read(alone))
            taken.append((time.perf_counter() - began) * 1000)
            scores += scored.scores
        taken.sort()
        return {"scores": scores, "latency_ms": taken[int(0.99 * len(taken))] if taken else None}


def _schema(champion: LoadedRelease) -> dict[str, Any]:
    return {"key": "string", "event_timestamp": "timestamp, optional", **champion.manifest.plan.request}


def _outcomes(raw: list[dict[str, Any]]) -> list[tuple[str, bool, datetime]]:
    problems: list[Problem] = []
    outcomes = [
        tuple(typed(given.get(name), kind, f"outcomes[{position}].{name}", problems) for name, kind in _OUTCOME.items())
        for position, given in enumerate(raw)
    ]
    if problems:
        raise Refused(422, problems)
    return outcomes


_OUTCOME = {KEY: "string", "label": "bool", "known_at": "timestamp"}
"""What is told of a prediction, none of it left out."""
