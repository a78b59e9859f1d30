"""What the whole path of a request costs beside a handler that does nothing on the same server: CPU a request, and where it goes.

CPU is the worker's (for the no-op: its process's), by the clock of the kernel, without the load's and PostgreSQL's; the shipper's
apart. Each way of serving is a release of its own, on one worker, and all take turns.

Clients that ask again at once keep the no-op, which answers several times as often, from ever falling asleep, and to be woken
costs more than to answer. So all are asked at one rate too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from benchmarks import world
from benchmarks.record import Record
from benchmarks.serving.departures import body, bundle, model, row, whole, whole_row
from benchmarks.serving.load import write
from benchmarks.serving.openloop import compiled, flood
from benchmarks.serving.processes import SHIPPER, WORKER, cpu_seconds
from benchmarks.serving.program import Program, ServerError, first_answer, loaded, running
from benchmarks.serving.stage import ASKED, PATH, Stage, answers_by
from benchmarks.serving.stages import stages
from everloop.decide.policy import ServicePolicy
from everloop.decide.release.state import Stage as Of
from everloop.serve.engine.fastest import FASTEST, XGBOOST
from everloop.serve.engine.lignum import installed
from everloop.serve.shapes.rows import JsonRows
from everloop.stack.ports import free_port

ROUNDS = 5
SECONDS = 4
CONNECTIONS = (1, 16)
RATE = 1_000
"""Requests a second, due by the clock, over the most connections."""
STEADY = f"at {RATE} a second"
TARGET = 4.0
NOOP = "no-op"
FULL, SHADOWED = "features from PostgreSQL, durable log", "features from PostgreSQL, durable log, shadow"

_Cpu = Mapping[str, float]
"""CPU seconds by the role of the process."""


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
        tool = compiled(folder)
        asked = {kind: write((body(one) for one in rows), folder / f"{kind}.bodies") for kind, rows in _rows().items()}
        for _ in range(rounds):
            _noop(record, asked["stored"], tool, seconds)
            for way in ways:
                _served(record, stage, way, asked, tool, seconds)
        kept = bundle(model(1), ServicePolicy(feature_cache_seconds=600))
        for what, microseconds in stages(stage, kept, JsonRows(), body(row(1))).items():
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


def _noop(record: Record, bodies: Path, tool: Path, seconds: int) -> None:
    port = free_port()
    script = Path(__file__).parent / "serving" / "programs" / "noop.py"
    program = Program(name=NOOP, command=(sys.executable, str(script), str(port)), port=port, path=PATH)
    with running(program, bodies.with_name("noop.log")) as process:
        first_answer(program, process, b"{}", lambda answer: answer.status_code == 200)
        server = psutil.Process(process.pid)
        _asked(record, program, bodies, tool, seconds, lambda: {WORKER: sum(server.cpu_times()[:2])})


def _served(record: Record, stage: Stage, way: Way, asked: Mapping[str, Path], tool: Path, seconds: int) -> None:
    stage.decide(**way.state)
    program, bodies = replace(stage.service(engine=way.engine), name=way.name), asked["whole" if way.whole else "stored"]
    with running(program, stage.folder / "service.log") as process:
        first = bodies.read_bytes().splitlines()[0]
        first_answer(program, process, first, answers_by(str(way.state["champion"])))
        _asked(record, program, bodies, tool, seconds, lambda: cpu_seconds(process))


def _asked(record: Record, program: Program, bodies: Path, tool: Path, seconds: int, cpu: Callable[[], _Cpu]) -> None:
    """Every load on a program that runs; `cpu` tells what its processes have used."""
    loaded(program, bodies, CONNECTIONS[-1], 1)
    for connections in CONNECTIONS:
        before = cpu()
        found = loaded(program, bodies, connections, seconds)
        record.sample(program.name, **_microseconds(before, cpu(), found.requests, str(connections)))
        record.sample(program.name, **{f"requests_per_second_{connections}": found.per_second})
    before = cpu()
    answers = _steadily(program, bodies, tool, seconds)
    record.sample(program.name, **_microseconds(before, cpu(), answers, STEADY))


def _steadily(program: Program, bodies: Path, tool: Path, seconds: int) -> int:
    """How many requests of a steady stream were answered; `ServerError` where one was not."""
    found = flood(tool, program, bodies, RATE, seconds, CONNECTIONS[-1])
    if found.count(200) < found.answers or found.broken:
        raise ServerError(f"{program.name} failed {found.answers - found.count(200) + found.broken} requests {STEADY}")
    return found.answers


def _microseconds(before: _Cpu, after: _Cpu, requests: int, load: str) -> Mapping[str, float]:
    """Of CPU a request, under a load."""
    names = {WORKER: f"us_{load}", SHIPPER: f"shipper_us_{load}"}
    return {names[role]: (after[role] - before[role]) / requests * 1e6 for role in names if role in after}


def _judge(record: Record, ways: list[Way]) -> None:
    loads = {str(connections): f"{connections} connections" for connections in CONNECTIONS} | {STEADY: STEADY}
    for load, words in loads.items():
        nothing = record.median(NOOP, f"us_{load}")
        for way in ways:
            ratio = record.median(way.name, f"us_{load}") / nothing
            if way.name in (FULL, SHADOWED):
                record.ratio(f"CPU of {way.name} / no-op, {words}", ratio, TARGET, "lower")
            else:
                record.fact(f"CPU of {way.name} / no-op, {words}", round(ratio, 2))


if __name__ == "__main__":
    main()
