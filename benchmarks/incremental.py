"""What a day costs: ingest and monitor of days around the 360th of a year against days around the 30th.

Two loops grow, one to the 26th day and one to the 356th; then a day of the young one and a day of the old are measured in turn.
In one loop the two weeks lay a quarter of an hour apart, and two runs told 0.92 and 1.33: a machine's speed drifts by more than
what is measured here.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks import world
from benchmarks.daily import Daily, ingest_steps, monitor_steps, open_daily
from benchmarks.record import Record
from everloop.stack.postgres import PostgresServer, create_databases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.daily import Step

EARLY, LATE = range(27, 34), range(357, 364)
"""A whole week around the 30th day, when the longest window of the features is first full, and around the 360th."""
SHOWN = 15
"""Days before a measured week that run in full too: the Data Docs (`docs.KEPT`) are full then, their build is the usual one."""
TARGET = 1.15


@dataclass
class Meter:
    """Seconds by graph and step of the days that were played: wall, and CPU of this process and of PostgreSQL."""

    postmaster: psutil.Process
    days: dict[int, dict[str, dict[str, float]]] = field(default_factory=dict)

    @contextmanager
    def measuring(self, day: int, step: str) -> Iterator[None]:
        """Add what the block takes."""
        began, mine, database = time.perf_counter(), time.process_time(), self._database()
        yield
        took = {
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - mine,
            "database_cpu_seconds": self._database() - database,
        }
        self.days.setdefault(day, {})[step] = took

    def total(self, day: int, graph: str) -> float:
        """CPU seconds of a graph on a day, PostgreSQL's included."""
        steps = (took for step, took in self.days[day].items() if step.startswith(graph))
        return sum(took["cpu_seconds"] + took["database_cpu_seconds"] for took in steps)

    def _database(self) -> float:
        """CPU seconds of the server: a connection's process counts once it has ended, as each has when its step is done."""
        used = self.postmaster.cpu_times()
        return used.user + used.system + used.children_user + used.children_system


def main() -> None:
    """Play the year."""
    record = Record("incremental", packages=("deltalake", "duckdb", "polars", "feast", "great-expectations"))
    with world.postgres() as server, world.folder() as folder:
        meter, (young, old) = Meter(postmaster(server)), [loop(server, folder, name) for name in ("young", "old")]
        rows = play(meter, young, range(EARLY.start), (EARLY,)) | play(meter, old, range(LATE.start), (LATE,))
        rows |= in_turn(meter, (young, EARLY), (old, LATE))
    judge(record, meter, rows, EARLY, LATE)
    record.finish()


def loop(server: PostgresServer, folder: Path, name: str) -> Daily:
    """A loop of that name, with databases and a folder of its own."""
    airline = f"airline_{name}"
    create_databases(server.uri(), [airline])
    place = folder / name
    place.mkdir()
    return open_daily(world.database(server, name), server.uri(airline), place)


def in_turn(meter: Meter, young: tuple[Daily, range], old: tuple[Daily, range]) -> dict[int, int]:
    """Play a day of the one, then a day of the other, in either order by turns; the flights that ended on each day."""
    rows: dict[int, int] = {}
    for turn, days in enumerate(zip(young[1], old[1], strict=True)):
        pair = [(young[0], days[0]), (old[0], days[1])]
        for daily, day in pair if turn % 2 == 0 else reversed(pair):
            rows |= play(meter, daily, [day], (young[1], old[1]))
    return rows


def play(meter: Meter, daily: Daily, days: Iterable[int], measured: Sequence[range]) -> dict[int, int]:
    """Play `days` in order through all steps, the `measured` ones as tasks run them; the flights that ended on each."""
    rows = {}
    for day in days:
        quick = not any(week.start - SHOWN <= day < week.stop for week in measured)
        daily.arrive(day)
        _run(meter, daily, day, "ingest", ingest_steps(f"day-{day}"), quick=quick)
        rows[day] = daily.serve(day)
        daily.settle(day)
        _run(meter, daily, day, "monitor", monitor_steps(), quick=quick)
        daily.settle(day)
    return rows


def judge(record: Record, meter: Meter, rows: Mapping[int, int], early: range, late: range) -> None:
    """Samples by step of both weeks, and the ratios of their costs: of a day, and of a row."""
    for when, days in (("day 30", early), ("day 360", late)):
        for day in days:
            record.sample(when, flights=rows[day])
            for step, took in meter.days[day].items():
                record.sample(f"{step}, {when}", **{name: round(value, 4) for name, value in took.items()})
    for graph in ("ingest", "monitor"):
        first, last = (statistics.median(meter.total(day, graph) for day in days) for days in (early, late))
        record.ratio(f"{graph}, CPU of day 360 / day 30", last / first, TARGET, "lower")
        of_rows = [sum(meter.total(day, graph) for day in days) / sum(rows[day] for day in days) for days in (early, late)]
        record.fact(f"{graph}, CPU of a flight, day 360 / day 30", round(of_rows[1] / of_rows[0], 3))


def _run(meter: Meter, daily: Daily, day: int, graph: str, steps: Mapping[str, Step], *, quick: bool) -> None:
    own = [daily.interval(day)]
    for name, step in steps.items():
        loop = daily.quick if quick else daily.loop()
        with meter.measuring(day, f"{graph} {name}"):
            answer: Any = step(loop, own, daily.now(day))
        if name == "plan" and answer != own:
            raise RuntimeError(f"{graph} of day {day} was to work {own}, that day alone, and planned {answer}")


def postmaster(server: PostgresServer) -> psutil.Process:
    """The server's first process."""
    return psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
