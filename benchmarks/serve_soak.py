"""The service under steady load while releases swap, PostgreSQL and workers are killed: nothing fails, nothing is lost or leaks.

`python -m benchmarks.serve_soak [MINUTES]` (30). Load is open-loop, without retries. A request whose connection broke within a
moment of a worker's kill was in flight there; whatever else has no answer of 200 has failed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import psycopg

from benchmarks import world
from benchmarks.record import Record
from benchmarks.serving.departures import USE_CASE, body, bundle, model, row
from benchmarks.serving.disturbance import Disturbance
from benchmarks.serving.program import Program, ServerError, first_answer, running
from benchmarks.serving.restarts import Restarts
from benchmarks.serving.soak import Memory, Seen, steady
from benchmarks.serving.stage import Stage, answers_by

MINUTES = 30.0
WORKERS = 2
PER_SECOND = 300
SHIPPED_SECONDS = 120
WARM_UP = "warm-up"
"""The key of the requests that waited for the service's start."""
GROWTH = 1.05
"""How much more memory a process may have at the end than after it warmed up."""


def main(minutes: float = MINUTES) -> None:
    """One run. Ends with 1 when a request failed or the log does not hold exactly what was answered."""
    record = Record("serve_soak", packages=("xgboost", "uvicorn", "uvloop", "msgspec", "psycopg"))
    with world.folder() as folder, Restarts.made(folder) as database:
        stage = Stage(folder, database.uri)
        stage.fill()
        releases = [stage.publish(bundle(model(seed))) for seed in (1, 2)]
        stage.decide(champion=releases[0])
        program = stage.service(workers=WORKERS)
        log = folder / "service.log"
        seen, memory = asyncio.run(_soaked(record, stage, program, database, releases, minutes * 60, log))
        _judge_log(record, stage.database, seen)
        memory.judge(record, GROWTH)
        record.fact("warnings of the service by kind", _complaints(log))
    record.finish()
    if not all(one["met"] for one in record.ratios.values()):
        raise SystemExit("not every target was met")


async def _soaked(
    record: Record, stage: Stage, program: Program, database: Restarts, releases: list[str], seconds: float, log: Path
) -> tuple[Seen, Memory]:
    """Load, disturb, stop the load, let the log be shipped."""
    with running(program, log) as process:
        await asyncio.to_thread(first_answer, program, process, body(row(0, WARM_UP)), answers_by(releases[0]))
        disturbance = Disturbance(stage, database, process, releases)
        seen, memory = Seen(), Memory(process)
        tasks = [asyncio.create_task(one) for one in (disturbance.run(seconds), memory.watch(seconds))]
        await steady(program.port, program.path, PER_SECOND, seconds, seen)
        await asyncio.gather(*tasks)
        _judge_answers(record, seen, disturbance)
        await asyncio.to_thread(_await_shipped, stage, seen)
    return seen, memory


def _judge_answers(record: Record, seen: Seen, disturbance: Disturbance) -> None:
    in_flight, failed = seen.divided(disturbance.worker_kills)
    record.fact("requests sent", seen.sent)
    record.fact("answered", len(seen.answered))
    record.fact("in flight in a killed worker, without answer", len(in_flight))
    record.fact("failed", dict(seen.failures(failed)))
    record.fact("answers by release", seen.by_release())
    record.fact("flags on answers", dict(seen.flags))
    record.fact("workers killed", len(disturbance.worker_kills))
    record.fact("PostgreSQL killed and restarted", disturbance.database_kills)
    record.fact("releases swapped in the ledger", disturbance.swaps)
    record.sample(
        "latency under load", p50_ms=seen.quantile_ms(0.5), p99_ms=seen.quantile_ms(0.99), p999_ms=seen.quantile_ms(0.999)
    )
    record.ratio("failed requests beyond those in flight in a killed worker", len(failed), 0, "lower")


def _await_shipped(stage: Stage, seen: Seen) -> None:
    """Until PostgreSQL holds as many predictions as were answered, which the shipper brings within a moment of its return."""
    until = time.monotonic() + SHIPPED_SECONDS
    while _logged_rows(stage.database) < len(seen.answered):
        if time.monotonic() > until:
            return  # `_judge_log` tells what is missing
        time.sleep(0.5)


def _logged_rows(database: str) -> int:
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT count(*) FROM prediction WHERE use_case = %s", (USE_CASE,)).fetchone()
    return int(found[0]) if found else 0


def _judge_log(record: Record, database: str, seen: Seen) -> None:
    """Compare what is logged with what was answered, one by one."""
    statement = "SELECT request_id, key, release, score FROM prediction WHERE use_case = %s"
    with psycopg.connect(database) as connection:
        rows = connection.execute(statement, (USE_CASE,)).fetchall()
    logged = {request: (release, score) for request, _, release, score in rows}
    unanswered = {request: key for request, key, *_ in rows if request not in seen.answered}
    if not seen.answered:
        raise ServerError("nothing was answered, so nothing was shown")
    record.fact("rows logged", len(rows))
    record.fact("rows logged of requests that were in flight at a kill", len(unanswered))
    record.ratio("answers that are not in the log, with their release and score", _missing(logged, seen), 0, "lower")
    record.ratio("rows logged more than once", len(rows) - len(logged), 0, "lower")
    record.ratio("rows logged that nobody asked for", len(set(unanswered.values()) - seen.broken_keys() - {WARM_UP}), 0, "lower")


def _missing(logged: dict[str, tuple[str, float]], seen: Seen) -> int:
    return sum(logged.get(request) != said for request, said in seen.answered.items())


def _complaints(log: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in log.read_text(errors="replace").splitlines():
        words = line.split()
        if len(words) > 3 and words[2] in ("WARNING", "ERROR", "CRITICAL"):
            what = " ".join(words[2:8])
            counts[what] = counts.get(what, 0) + 1
    return dict(sorted(counts.items(), key=lambda one: -one[1])[:12])


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
