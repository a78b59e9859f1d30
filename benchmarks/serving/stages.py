"""Where each microsecond of a request goes: the service's own stages, called one by one in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from benchmarks.serving.departures import USE_CASE, body, row
from benchmarks.serving.stage import Stage
from everloop.release import Bundle
from everloop.serve.answering.answer import answer
from everloop.serve.answering.batch import Answered, Batch
from everloop.serve.log import frames
from everloop.serve.observe.passage import Marks, Passage
from everloop.serve.parts import Parts
from everloop.serve.request import Request
from everloop.serve.shapes.rows import JsonRows
from everloop.serve.shapes.shape import Sent
from everloop.settings import Settings

CALLS = 2_000
BATCHES = 5


def stages(stage: Stage, bundle: Bundle) -> Mapping[str, float]:
    """Microseconds of CPU a request of one row, by stage; `bundle`'s policy must keep features for as long as this takes."""
    stage.decide(champion=stage.publish(bundle))
    return asyncio.run(_measured(stage))


async def _measured(stage: Stage) -> Mapping[str, float]:
    parts = Parts(_settings(stage))
    await parts.start()
    try:
        await parts.until_ready(60)
        return await _each(parts)
    finally:
        await parts.stop()


async def _each(parts: Parts) -> Mapping[str, float]:
    serving = parts.service.serving(USE_CASE)
    release, shape, now = serving.champion, JsonRows(), datetime.now(UTC)
    sent = Sent("0" * 32, body(row(1)), {}, b"", now)
    block = shape.read(release, sent).block
    request = Request(sent.id, serving, block, False, now, time.perf_counter())
    batch = Batch.of([request])
    vectors = await release.features.read(block)
    columns = {**block.request, **vectors.columns, **release.functions.of(block)}
    matrix = release.model.encode(columns, 1).matrix
    answered = answer(batch, vectors, None)
    frame = frames.rows(answered.records)
    found = {
        "read and check": _us(lambda: shape.read(release, sent)),
        "arm": _us(lambda: Batch.of([request])),
        "features, from the cache": _us(lambda: release.features.cached(block)),
        "request functions": _us(lambda: release.functions.of(block)),
        "encode": _us(lambda: release.model.encode(columns, 1)),
        "engine": _us(lambda: release.model.engine.predict(matrix)),
        "calibrate": _us(lambda: release.model.score(matrix)),
        "tell": _us(lambda: answer(batch, vectors, None)),
        "log, encode": _us(lambda: frames.rows(answered.records)),
        "log, write": _us(lambda: parts.journal.log.append(frame)),
        "metrics": _us(lambda: _count(parts, answered)),
        "answer": _us(lambda: shape.write(answered.answers[0], None)),
    }
    # The later ones contain the earlier ones.
    found["calibrate"] -= found["engine"]
    found["tell"] -= found["request functions"] + found["encode"] + found["engine"] + found["calibrate"]
    return {name: round(us, 2) for name, us in found.items()}


def _count(parts: Parts, answered: Answered) -> None:
    """What a request of one row leaves in the metrics."""
    metrics, now = parts.metrics, time.perf_counter()
    metrics.batch(Marks(USE_CASE, now, now, now, now))
    for record in answered.records:
        metrics.answered_row(record)
    metrics.answered(USE_CASE, "score", 200, 0.001)
    metrics.scored(
        Passage("0" * 32, now, use_case=USE_CASE, read=now, told=now, marks=Marks(USE_CASE, now, now, now, now)), 200, now
    )


def _us(call: Callable[[], Any]) -> float:
    """CPU microseconds of this thread a call: the least of some batches, since others only ever add to it."""
    found = []
    for _ in range(BATCHES):
        began = time.thread_time()
        for _ in range(CALLS // BATCHES):
            call()
        found.append((time.thread_time() - began) / (CALLS // BATCHES))
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
