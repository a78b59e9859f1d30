"""Tables of 1,000 rows as Arrow IPC: rows a CPU second of the whole service, one worker, beside those of its engine alone.

The engine is asked in this process, on one thread, for the same rows as a matrix that is ready; it and the service take turns.
CPU is the worker's, by the kernel's clock: the shipper and PostgreSQL, which writes 24,000 rows a second a core, share the
machine with it, and on two cores the rows a second by the wall are theirs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa

from benchmarks import world
from benchmarks.record import Record
from benchmarks.serving.departures import bundle, model, row, whole, whole_row
from benchmarks.serving.load import write_binary
from benchmarks.serving.processes import SHIPPER, WORKER, cpu_seconds
from benchmarks.serving.program import first_answer, loaded, running
from benchmarks.serving.stage import Stage
from benchmarks.serving.stages import stages
from everloop.decide.policy import ServicePolicy
from everloop.serve.engine.fastest import FASTEST, XGBOOST
from everloop.serve.engine.lignum import installed
from everloop.serve.model import ServedModel
from everloop.serve.shapes.arrow import ArrowStream
from everloop.serve.shapes.rows import JsonRows

ROWS = 1_000
TABLES = 10
"""Different ones, in turn."""
ROUNDS = 5
SECONDS = 4
CONNECTIONS = 4
TARGET = 0.8
ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}


@dataclass(frozen=True)
class Way:
    """What is in the tables, and which engine scores them."""

    name: str
    engine: str
    release: str
    tables: Path


def main(rounds: int = ROUNDS, seconds: int = SECONDS) -> None:
    """Both sides of every way in every round."""
    record = Record("serve_arrow", packages=("xgboost", "pyarrow", "numpy", "uvicorn", "uvloop"))
    with world.folder() as folder, world.postgres() as server:
        stage = Stage(folder, server.uri("everloop"))
        stage.fill()
        models = {engine: ServedModel(whole(model(1)), engine) for engine in _engines()}
        ways = [way for engine in models for way in _ways(stage, engine)]
        for _ in range(rounds):
            for engine, scored in models.items():
                record.sample(_alone(engine), rows_per_cpu_second=_scored(scored, seconds))
            for way in ways:
                record.sample(way.name, **_served(stage, way, seconds))
        kept = bundle(model(1), ServicePolicy(feature_cache_seconds=600))
        for what, microseconds in stages(stage, kept, ArrowStream(JsonRows()), a_table(row), calls=200).items():
            record.fact(f"us of a table with stored features in {what}", microseconds)
    for way in ways:
        ratio = record.median(way.name, "rows_per_cpu_second") / record.median(_alone(way.engine), "rows_per_cpu_second")
        record.ratio(f"rows a CPU second, {way.name} / {_alone(way.engine)}", ratio, TARGET, "higher")
    record.finish()


def _engines() -> tuple[str, ...]:
    return (XGBOOST, FASTEST) if installed() else (XGBOOST,)


def _alone(engine: str) -> str:
    return f"{engine} engine alone"


def _ways(stage: Stage, engine: str) -> Iterator[Way]:
    everything = write_binary(map(_stream, _tables(whole_row)), stage.folder / "whole")
    keys = write_binary(map(_stream, _tables(row)), stage.folder / "stored")
    yield Way(f"{engine}, everything in the table", engine, stage.publish(whole(model(1))), everything)
    yield Way(f"{engine}, features from PostgreSQL", engine, stage.publish(bundle(model(1))), keys)


def a_table(made: Callable[[int], dict[str, Any]]) -> bytes:
    """A request of `ROWS` rows."""
    return _stream(next(_tables(made)))


def _tables(made: Callable[[int], dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for table in range(TABLES):
        yield [made(number) for number in range(table * ROWS, (table + 1) * ROWS)]


def _stream(rows: list[dict[str, Any]]) -> bytes:
    # A moment as Arrow has it, and as clients with tables have it: no text.
    typed = [{**one, "event_timestamp": datetime.fromisoformat(one["event_timestamp"])} for one in rows]
    table, sink = pa.Table.from_pylist(typed), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _scored(scored: ServedModel, seconds: int) -> float:
    rows = next(_tables(whole_row))
    matrix = scored.encode({name: [one[name] for one in rows] for name in scored.columns}, ROWS).matrix
    scored.engine.predict(matrix)
    began, done = time.process_time(), 0
    while time.process_time() - began < seconds:
        scored.engine.predict(matrix)
        done += ROWS
    return done / (time.process_time() - began)


def _served(stage: Stage, way: Way, seconds: int) -> Mapping[str, float]:
    stage.decide(champion=way.release)
    program = replace(stage.service(engine=way.engine), headers=ARROW)
    with running(program, stage.folder / "service.log") as process:
        first = bytes.fromhex(way.tables.read_text().partition("\n")[0])
        first_answer(program, process, first, lambda answer: _right(answer, way.release))
        loaded(program, way.tables, CONNECTIONS, 1)
        before = cpu_seconds(process)
        found = loaded(program, way.tables, CONNECTIONS, seconds)
        after = cpu_seconds(process)
        rows = found.requests * ROWS
        return {
            "rows_per_cpu_second": rows / (after[WORKER] - before[WORKER]),
            "shipper_cpu_us_a_row": (after[SHIPPER] - before[SHIPPER]) / rows * 1e6,
            "rows_per_second": found.per_second * ROWS,
            "p50_ms": found.p50_ms,
            "p99_ms": found.p99_ms,
        }


def _right(answer: httpx.Response, release: str) -> bool:
    """Whether every row is the release's and has all features."""
    if answer.status_code != 200:
        return False
    rows = pa.ipc.open_stream(answer.content).read_all()
    return rows.num_rows == ROWS and set(rows["release"].to_pylist()) == {release} and not any(rows["flags"].to_pylist())


if __name__ == "__main__":
    main()
