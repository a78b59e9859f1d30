"""What the whole path of a request costs beside a handler that does nothing on the same server: CPU a request, and where it goes.

CPU is the worker's (for the no-op: its process's), by the clock of the kernel, without the load's and PostgreSQL's; the shipper's
apart. Each way of serving is a release of its own, on one worker, and all take turns.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import world
from benchmarks.record import Record
from benchmarks.serving.departures import body, bundle, model, row, whole, whole_row
from benchmarks.serving.load import write
from benchmarks.serving.processes import SHIPPER, WORKER, cpu_seconds
from benchmarks.serving.program import Program, first_answer, loaded, running
from benchmarks.serving.stage import ASKED, PATH, Stage, answers_by
from benchmarks.serving.stages import stages
from everloop.decide.policy import ServicePolicy
from everloop.decide.release.state import Stage as Of
from everloop.serve.engine.fastest import FASTEST, XGBOOST
from everloop.serve.engine.lignum import installed
from everloop.stack.ports import free_port

ROUNDS = 5
SECONDS = 4
CONNECTIONS = (1, 16)
TARGET = 4.0
NOOP = "no-op"
FULL, SHADOWED = "features from PostgreSQL, durable log", "features from PostgreSQL, durable log, shadow"


@dataclass(frozen=True)
class Way:
    """A way of serving: what the ledger says, whether the request has all inputs, which engine scores."""

    name: str
    state: Mapping[str, object]
    whole: bool = False
    engine: str = FASTEST


def main(rounds: int = ROUNDS, seconds: int = SECONDS) -> None:
    """Every way in every round."""
    record = Record("serve_path", packages=("xgboost", "uvicorn", "uvloop", "httptools", "msgspec", "asyncpg", "xxhash"))
    with world.folder() as folder, world.postgres() as server:
        stage = Stage(folder, server.uri("everloop"))
        stage.fill()
        ways = _ways(stage)
        record.fact("fastest engine", "pylignum" if installed() else "xgboost, since pylignum is not installed")
        asked = {kind: write((body(one) for one in rows), folder / f"{kind}.bodies") for kind, rows in _rows().items()}
        for _ in range(rounds):
            _noop(record, asked["stored"], folder, seconds)
            for way in ways:
                _served(record, stage, way, asked, seconds)
        for what, microseconds in stages(stage, bundle(model(1), ServicePolicy(feature_cache_seconds=600))).items():
            record.fact(f"us in {what}", microseconds)
    _judge(record, ways)
    record.finish()


def _ways(stage: Stage) -> list[Way]:
    first, second = model(1), model(2)
    given = stage.publish(whole(first))
    stored, uncached = stage.publish(bundle(first)), stage.publish(bundle(first, ServicePolicy(feature_cache_seconds=0)))
    durable = ServicePolicy(durable_log=True)
    full, shadowed = stage.publish(bundle(first, durable)), stage.publish(bundle(first, durable, shadow_share=1.0))
    trial = {"challenger": stage.publish(bundle(second, durable, shadow_share=1.0)), "rollout": "r1", "stage": Of.SHADOW}
    shadow = {**trial, "challenger": stage.publish(bundle(second, shadow_share=1.0))}
    return [
        Way("everything in the request, xgboost", {"champion": given}, whole=True, engine=XGBOOST),
        *([Way("everything in the request, fastest", {"champion": given}, whole=True)] if installed() else []),
        Way("features from PostgreSQL", {"champion": stored}),
        Way("features from PostgreSQL, no cache", {"champion": uncached}),
        Way("features from PostgreSQL, shadow", {"champion": stored, **shadow}),
        Way(FULL, {"champion": full}),
        Way(SHADOWED, {"champion": shadowed, **trial}),
    ]


def _rows() -> Mapping[str, list[dict[str, object]]]:
    return {"stored": [row(n) for n in range(ASKED)], "whole": [whole_row(n) for n in range(ASKED)]}


def _noop(record: Record, bodies: Path, folder: Path, seconds: int) -> None:
    port = free_port()
    script = Path(__file__).parent / "serving" / "programs" / "noop.py"
    program = Program(name=NOOP, command=(sys.executable, str(script), str(port)), port=port, path=PATH)
    with running(program, folder / "noop.log") as process:
        first_answer(program, process, b"{}", lambda answer: answer.status_code == 200)
        loaded(program, bodies, CONNECTIONS[-1], 1)
        for connections in CONNECTIONS:
            before = sum(psutil.Process(process.pid).cpu_times()[:2])
            found = loaded(program, bodies, connections, seconds)
            taken = sum(psutil.Process(process.pid).cpu_times()[:2]) - before
            record.sample(NOOP, **_numbers(connections, taken / found.requests, found.per_second))


def _served(record: Record, stage: Stage, way: Way, asked: Mapping[str, Path], seconds: int) -> None:
    stage.decide(**way.state)
    program, bodies = stage.service(engine=way.engine), asked["whole" if way.whole else "stored"]
    with running(program, stage.folder / "service.log") as process:
        first = bodies.read_bytes().splitlines()[0]
        first_answer(program, process, first, answers_by(str(way.state["champion"])))
        loaded(program, bodies, CONNECTIONS[-1], 1)
        for connections in CONNECTIONS:
            _sample(record, way.name, program, process, bodies, connections, seconds)


def _sample(
    record: Record, name: str, program: Program, process: subprocess.Popen[bytes], bodies: Path, connections: int, seconds: int
) -> None:
    before = cpu_seconds(process)
    found = loaded(program, bodies, connections, seconds)
    after = cpu_seconds(process)
    taken = {role: (after[role] - before[role]) / found.requests for role in (WORKER, SHIPPER)}
    record.sample(name, **_numbers(connections, taken[WORKER], found.per_second))
    record.sample(name, **{f"shipper_us_{connections}": taken[SHIPPER] * 1e6})


def _numbers(connections: int, seconds_each: float, per_second: float) -> Mapping[str, float]:
    return {f"us_{connections}": seconds_each * 1e6, f"requests_per_second_{connections}": per_second}


def _judge(record: Record, ways: list[Way]) -> None:
    for connections in CONNECTIONS:
        nothing = record.median(NOOP, f"us_{connections}")
        for way in ways:
            ratio = record.median(way.name, f"us_{connections}") / nothing
            if way.name in (FULL, SHADOWED):
                record.ratio(f"CPU of {way.name} / no-op, {connections} connections", ratio, TARGET, "lower")
            else:
                record.fact(f"CPU of {way.name} / no-op, {connections} connections", round(ratio, 2))


if __name__ == "__main__":
    main()
