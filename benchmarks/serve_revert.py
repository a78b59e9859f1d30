"""How long a revert takes under load: from just before the command to the last answer by the reverted release."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

from benchmarks import world
from benchmarks.record import Record
from benchmarks.serving.client import Connection, NoAnswerError
from benchmarks.serving.departures import USE_CASE, bundle, model
from benchmarks.serving.program import Program, first_answer, running
from benchmarks.serving.stage import Stage, answers_by, bodies
from everloop.decide.release.state import ReleaseState
from everloop.ports import Registry
from everloop.release import Bundle
from everloop.steps.rollback import revert
from everloop.use_case import UseCase

TIMES = 20
WORKERS = 2
CONNECTIONS = 16
AFTER_SECONDS = 3.0
"""How long the answers are looked at after the command: the target, and then some."""
TARGET_SECONDS = 2.0
PATIENCE_SECONDS = 60.0
"""For a promotion, which loads and proves the release the first time."""


class Files:
    """What the step needs of a registry: verified bytes. MLflow's aliases, which it tells afterwards, concern no scorer."""

    def __init__(self, stage: Stage) -> None:
        self._releases = stage.releases

    def get(self, release: str) -> Bundle:
        """See `Registry.get`."""
        return self._releases.get(release)

    def mirror(self, use_case: str, state: ReleaseState) -> None:
        """See `Registry.mirror`."""


@dataclass
class Answers:
    """When each release last answered (`time.perf_counter`), and what failed."""

    last: dict[str, float] = field(default_factory=dict)
    count: int = 0
    failed: list[str] = field(default_factory=list)


def main(times: int = TIMES) -> None:
    """Promote and revert so many times under one load."""
    record = Record("serve_revert", packages=("xgboost", "uvicorn", "uvloop", "psycopg"))
    with world.folder() as folder, world.postgres() as server:
        stage = Stage(folder, server.uri("everloop"))
        stage.fill()
        first, second = (stage.publish(bundle(model(seed))) for seed in (1, 2))
        stage.decide(champion=first)
        program = stage.service(workers=WORKERS)
        with running(program, folder / "service.log") as process:
            first_answer(program, process, bodies()[0], answers_by(first))
            answers = asyncio.run(_reverted(record, stage, program, (first, second), times))
    record.fact("answers during all of it", answers.count)
    record.fact("what failed", answers.failed[:5])
    found = record.samples["revert"]["seconds"]
    record.ratio(
        "seconds from the command to the last answer by the reverted release, longest", max(found), TARGET_SECONDS, "lower"
    )
    record.ratio("the same, median", record.median("revert", "seconds"), TARGET_SECONDS, "lower")
    record.ratio("failed requests", len(answers.failed), 0, "lower")
    record.finish()


async def _reverted(record: Record, stage: Stage, program: Program, releases: tuple[str, str], times: int) -> Answers:
    _named()  # the imports behind it are no part of a revert
    answers, stop = Answers(), asyncio.Event()
    clients = [asyncio.create_task(_ask(program, answers, stop, n)) for n in range(CONNECTIONS)]
    first, second = releases
    for number in range(times):
        await asyncio.to_thread(stage.decide, champion=second, previous=first)
        await _in_effect(answers, second, first)
        began = time.perf_counter()
        told = await asyncio.to_thread(_revert, stage, number)
        written = time.perf_counter() - began
        assert told["champion"] == first, told
        await asyncio.sleep(AFTER_SECONDS)
        if answers.last[first] < began + written:
            raise SystemExit(f"revert {number} is not in effect after {AFTER_SECONDS:g} s")
        record.sample("revert", seconds=answers.last[second] - began, command_seconds=written)
    stop.set()
    await asyncio.gather(*clients)
    return answers


def _revert(stage: Stage, number: int) -> Mapping[str, Any]:
    """The step behind `everloop rollback`."""
    files = cast(Registry, Files(stage))
    return revert(stage.ledger, files, _named(), actor="benchmark", reason=f"revert {number}", now=datetime.now(UTC))


@cache
def _named() -> UseCase:
    """Of a use case the step takes the name alone."""
    return replace(world.flights(), name=USE_CASE)


async def _in_effect(answers: Answers, release: str, other: str) -> None:
    """Until `release` has answered for a second, and `other` has not: it is in effect on every worker."""
    began = time.perf_counter()
    until = began + PATIENCE_SECONDS
    while answers.last.get(release, 0.0) < began + 1 or answers.last[release] - answers.last.get(other, 0.0) < 1:
        if time.perf_counter() > until:
            raise SystemExit(f"release {release} is not in effect after {PATIENCE_SECONDS:g} s")
        await asyncio.sleep(0.05)


async def _ask(program: Program, answers: Answers, stop: asyncio.Event, position: int) -> None:
    sent = bodies()
    async with Connection(program.port, program.path) as connection:
        while not stop.is_set():
            position = (position + 1) % len(sent)
            try:
                answer = await connection.post(sent[position])
            except (NoAnswerError, OSError, TimeoutError) as error:
                answers.failed.append(f"{type(error).__name__}: {error}")
                continue
            _note(answers, answer.status, answer.body, answer.ended)


def _note(answers: Answers, status: int, content: bytes, ended: float) -> None:
    answers.count += 1
    if status != 200:
        answers.failed.append(f"{status}: {content[:200]!r}")
        return
    at = content.index(b'"release":"') + len(b'"release":"')
    answers.last[content[at : content.index(b'"', at)].decode()] = ended


if __name__ == "__main__":
    main()
