"""Where each microsecond of a request goes: the service's own stages, called one by one in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from benchmarks.serving.departures import USE_CASE
from benchmarks.serving.stage import Stage
from everloop.release import Bundle
from everloop.serve.answering.answer import answer
from everloop.serve.answering.batch import Answered, Batch
from everloop.serve.log import frames
from everloop.serve.observe.passage import Marks, Passage
from everloop.serve.parts import Parts
from everloop.serve.request import Request
from everloop.serve.shapes.shape import Sent, Shape
from everloop.settings import Settings

BATCHES = 5


def stages(stage: Stage, bundle: Bundle, shape: Shape, content: bytes, calls: int = 2_000) -> Mapping[str, float]:
    """Microseconds of CPU of a request with this `content`, by stage, called one after the other with nothing beside.

    `bundle`'s policy must keep features for as long as this takes.
    """
    stage.decide(champion=stage.publish(bundle))
    return asyncio.run(_measured(stage, shape, content, calls))


async def _measured(stage: Stage, shape: Shape, content: bytes, calls: int) -> Mapping[str, float]:
    parts = Parts(_settings(stage))
    await parts.start()
    try:
        await parts.until_ready(60)
        return await _each(parts, shape, content, calls)
    finally:
        await parts.stop()


async def _each(parts: Parts, shape: Shape, content: bytes, calls: int) -> Mapping[str, float]:
    serving = parts.service.serving(USE_CASE)
    release, now = serving.champion, datetime.now(UTC)
    sent = Sent("0" * 32, content, {}, b"", now)
    asked = shape.read(release, sent)
    block = asked.block
    request = Request(sent.id, serving, block, False, now, time.perf_counter())
    batch = Batch.of([request])
    vectors = await release.features.read(block)
    columns = {**block.request, **vectors.columns, **release.functions.of(block)}
    matrix = release.model.encode(columns, len(block)).matrix
    answered = answer(batch, vectors, None)
    frame, us = _frame(answered), partial(_microseconds, calls=calls)
    found = {
        "read and check": us(lambda: shape.read(release, sent)),
        "arm": us(lambda: Batch.of([request])),
        "features, from the cache": us(lambda: release.features.cached(block)),
        "request functions": us(lambda: release.functions.of(block)),
        "encode": us(lambda: release.model.encode(columns, len(block))),
        "engine": us(lambda: release.model.engine.predict(matrix)),
        "calibrate": us(lambda: release.model.score(matrix)),
        "tell": us(lambda: answer(batch, vectors, None)),
        "log, encode": us(lambda: _frame(answered)),
        "log, write": us(lambda: parts.journal.log.append(frame)),
        "log, to the disk": us(lambda: (parts.journal.log.append(frame), parts.journal.log.sync())),
        "metrics": us(lambda: _count(parts, answered)),
        "answer": us(lambda: shape.write(answered.answers[0], asked.context)),
    }
    # The later ones contain the earlier ones.
    found["log, to the disk"] -= found["log, write"]
    found["calibrate"] -= found["engine"]
    found["tell"] -= found["request functions"] + found["encode"] + found["engine"] + found["calibrate"]
    return {name: round(taken, 2) for name, taken in found.items()}


def _frame(answered: Answered) -> bytes:
    if not answered.columns:
        return frames.rows(answered.records)
    from everloop.serve.log.columnar import columns

    return b"".join(map(columns, answered.columns))


def _count(parts: Parts, answered: Answered) -> None:
    """What a request leaves in the metrics."""
    metrics, now = parts.metrics, time.perf_counter()
    metrics.batch(Marks(USE_CASE, now, now, now, now))
    for record in answered.records:
        metrics.answered_row(record)
    for columns in answered.columns:
        metrics.answered_columns(columns)
    metrics.answered(USE_CASE, "score", 200, 0.001)
    metrics.scored(
        Passage("0" * 32, now, use_case=USE_CASE, read=now, told=now, marks=Marks(USE_CASE, now, now, now, now)), 200, now
    )


def _microseconds(call: Callable[[], Any], calls: int) -> float:
    """CPU microseconds of this thread a call: the least of some batches, since others only ever add to it."""
    found = []
    for _ in range(BATCHES):
        began = time.thread_time()
        for _ in range(calls // BATCHES):
            call()
        found.append((time.thread_time() - began) / (calls // BATCHES))
    return min(found) * 1e6


def _settings(stage: Stage) -> Settings:
    home = stage.folder / "stages"
    return Settings(
        home=home,
        database=stage.database,
        lake=str(home),
        landing=str(home),
        outbox=str(home),
        releases=str(stage.folder / "releases"),
        mlflow="http://127.0.0.1:1",
        scorer="http://127.0.0.1:1",
        feature_repo=home,
        expectations=home,
        data_docs=home,
        connections={},
    )
