"""Overload: five times what the service can answer. Those that it accepts must not wait, the others must be told so at once.

Capacity is what a closed loop of wrk reaches; then requests come by the clock, whatever became of those before, at 80 % of it
and at five times it, over more connections than the service has places. One worker.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import world
from benchmarks.record import Record
from benchmarks.serving.departures import bundle, model
from benchmarks.serving.load import write
from benchmarks.serving.openloop import Flood, compiled, flood
from benchmarks.serving.program import Program, first_answer, loaded, running
from benchmarks.serving.stage import Stage, answers_by, bodies
from everloop.decide.policy import ServicePolicy

ROUNDS = 3
SECONDS = 6
CONNECTIONS = 256
CALM, OVER = 0.8, 5.0
TARGET = 3.0
QUICK_MS = 100.0
"""What a user takes for at once (Nielsen 1993, Usability Engineering, ch. 5): the p99 of a refusal."""


def main(rounds: int = ROUNDS, seconds: float = SECONDS) -> None:
    """Calm and overload in turns."""
    record = Record("serve_overload", packages=("xgboost", "uvicorn", "uvloop", "httptools"))
    with world.folder() as folder, world.postgres() as server:
        stage = Stage(folder, server.uri("everloop"))
        stage.fill()
        release = stage.publish(bundle(model(1)))
        stage.decide(champion=release)
        program, tool = stage.service(), compiled(folder)
        asked = write(bodies(), folder / "asked.bodies")
        with running(program, folder / "service.log") as process:
            first_answer(program, process, bodies()[0], answers_by(release))
            loaded(program, asked, ServicePolicy().maximum_in_flight, 2)  # the first ones fill caches
            for _ in range(rounds):
                _round(record, program, tool, asked, seconds)
    record.fact("places in flight", ServicePolicy().maximum_in_flight)
    record.fact("connections of the load", CONNECTIONS)
    _judge(record)
    record.finish()


def _round(record: Record, program: Program, tool: Path, asked: Path, seconds: float) -> None:
    capacity = loaded(program, asked, ServicePolicy().maximum_in_flight - 1, 3).per_second
    record.sample("capacity", requests_per_second=capacity)
    for name, times in (("80 %", CALM), ("5 times", OVER)):
        _sample(record, name, flood(tool, program, asked, capacity * times, seconds, CONNECTIONS), seconds)


def _sample(record: Record, name: str, found: Flood, seconds: float) -> None:
    due = found.answers + found.unsent + found.broken
    others = found.answers - found.count(200) - found.count(429)
    record.sample(
        name,
        accepted_p50_ms=found.quantile_ms(200, 0.5),
        accepted_p99_ms=found.quantile_ms(200, 0.99),
        accepted_per_second=found.count(200) / seconds,
        refused_per_second=found.count(429) / seconds,
        refused_share=found.count(429) / max(1, found.answers),
        unsent_share=found.unsent / due,
        late_share=found.late / due,
        other_statuses=others,
        broken=found.broken,
    )
    if found.count(429):
        record.sample(name, refused_p99_ms=found.quantile_ms(429, 0.99))


def _judge(record: Record) -> None:
    calm, over = (record.median(name, "accepted_p99_ms") for name in ("80 %", "5 times"))
    record.ratio("p99 of accepted requests, 5 times capacity / 80 %", over / calm, TARGET, "lower")
    record.ratio("p99 of refusals (ms)", record.median("5 times", "refused_p99_ms"), QUICK_MS, "lower")
    failed = sum(sum(record.samples[name][what]) for name in ("80 %", "5 times") for what in ("other_statuses", "broken"))
    record.ratio("answers other than 200 and 429, and none", failed, 0, "lower")


if __name__ == "__main__":
    main()
