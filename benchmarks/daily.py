"""The shipped loop with a day as its interval, on systems of its own, played day by day through the steps of its graphs.

A day of data is a day on the clock too: what the airline's database, the landing place and the loop's own tables have stamped
while a day was played (a second or two) is dated to that day. Else all of the year would look as if it had changed a moment ago.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks import served, world
from everloop.adapters.features import FeastFeatures
from everloop.decide.release.state import ReleaseState
from everloop.demo import airline
from everloop.interval import Interval
from everloop.ports import Decision, Validation
from everloop.settings import PROJECT, Settings
from everloop.steps import accounting, features, late, monitor, parity
from everloop.use_case import UseCase
from everloop.wiring import Loop

if TYPE_CHECKING:
    import pyarrow as pa

DAY = timedelta(days=1)
LEARNT = range(8, 22)
"""The days that the release has learnt; it serves from the next one on."""

EARLIER = timedelta(minutes=5)
"""How long before a step looks what it looks for was stamped: the loop allows for clocks and transactions of a minute or less."""

Step = Callable[[Loop, list[Interval], datetime], Any]


class Unchecked:
    """`ports.Checks` that every row passes: the year's rows are sound, and days that nobody measures need not show it again."""

    def validate(self, rows: pa.Table, suite: str, run_name: str) -> Validation:  # noqa: ARG002
        return Validation(suite=suite, evaluated=0)


class AppliedOnce(FeastFeatures):
    """The feature store, whose declarations stay as they are while the year is played."""

    def apply(self) -> None:
        _ = self._applied

    @cached_property
    def _applied(self) -> bool:
        super().apply()
        return True


class QuickLoop(Loop):
    """A loop that leaves the same tables in a fraction of the time: no expectation suites, everything stays open."""

    @cached_property
    def checks(self) -> Unchecked:
        return Unchecked()

    @cached_property
    def features(self) -> AppliedOnce:
        return AppliedOnce(self.settings.feature_repo, self.use_case, self.lake, self.settings.database)


@dataclass(frozen=True)
class Daily:
    """One loop. `began`: the wall clock when it was made; whatever is stamped later is dated back to the day being played."""

    case: UseCase
    settings: Settings
    began: datetime
    learnt: range = LEARNT

    def loop(self) -> Loop:
        """A fresh one, as every task has: nothing is remembered from one step to the next."""
        return Loop(self.case, self.settings)

    @cached_property
    def quick(self) -> Loop:
        """For days that nobody measures."""
        return QuickLoop(self.case, self.settings)

    def interval(self, day: int) -> Interval:
        """Data interval `day`, 0 the first of January."""
        return Interval(self.case.start + day * DAY, self.case.start + (day + 1) * DAY)

    def now(self, day: int) -> datetime:
        """The clock just after the end of `day`: the year's last one is yesterday."""
        return self.began - (366 - day) * DAY

    def arrive(self, day: int) -> None:
        """What happened on `day` reaches the airline's systems."""
        uri = self.settings.connections["airline"]
        airline.arrive(uri, self.settings.landing, self.interval(day))
        before = self.now(day) - EARLIER
        with psycopg.connect(uri) as connection:
            for table in ("flights", "planes"):
                connection.execute(f"UPDATE {table} SET updated_at = %s WHERE updated_at >= %s", (before, self.began))
        file = Path(self.settings.landing, self.interval(day).start.strftime("weather/%Y-%m-%d.csv"))
        os.utime(file, (before.timestamp(), before.timestamp()))

    def serve(self, day: int) -> int:
        """The prediction log of the flights that ended on `day`; the rows written. None before there is a release."""
        loop = self.quick
        if day == self.learnt.stop:
            self._release(loop)
        champion = loop.ledger.head(self.case.name)[1].champion
        if champion is None:
            return 0
        rows = served.joined(loop.lake, loop.features, self.case, self.interval(day))
        served.serve(self.settings.database, self.case, rows, champion, self.now(day) - timedelta(hours=1))
        return rows.num_rows

    def settle(self, day: int) -> None:
        """Date to `day` what the loop's database has stamped by its own clock."""
        with psycopg.connect(self.settings.database) as connection:
            for table in ("account", "outcome"):
                connection.execute(
                    f"UPDATE {table} SET recorded_at = %s WHERE use_case = %s AND recorded_at >= %s",
                    (self.now(day) - EARLIER, self.case.name, self.began),
                )
            connection.execute("UPDATE cursor SET position = %s WHERE position >= %s", (self.now(day), self.began))

    def _release(self, loop: Loop) -> None:
        span, now = (
            Interval(self.interval(self.learnt.start).start, self.interval(self.learnt.stop).start),
            self.now(self.learnt.stop),
        )
        made = loop.registry.put(served.release(loop.lake, loop.features, self.case, span))
        after = ReleaseState(champion=made, since=now)
        promoted = Decision(actor="benchmark", action="promoted", subject=made, after=after, reason="it serves")
        loop.ledger.append(self.case.name, promoted, expected=0, at=now)


def open_daily(database: str, source: str, folder: Path, learnt: range = LEARNT) -> Daily:
    """A loop on two databases, its own and the airline's, with its files in `folder`."""
    airline.create(source)
    settings = Settings(
        home=folder,
        database=database,
        lake=str(folder / "lake"),
        landing=str(folder / "landing"),
        outbox="",
        releases=str(folder / "releases"),
        mlflow="unused",
        scorer="unused",
        feature_repo=PROJECT / "feature_repo",
        expectations=PROJECT / "expectations",
        data_docs=folder / "data_docs",
        connections={"airline": source},
    )
    return Daily(world.flights(DAY), settings, datetime.now(UTC), learnt)


def ingest_steps(run: str) -> dict[str, Step]:
    """The tasks of the graph `flights_ingest`, as `workflow.ingest` calls them."""
    return {
        "plan": lambda loop, _, now: late.pending(
            loop.source, loop.lake, loop.measurements, loop.accounts, loop.use_case, now=now
        ),
        "extract": lambda loop, days, now: accounting.extract(loop.source, loop.lake, loop.use_case, days, run, now=now),
        "validate": lambda loop, days, _: accounting.ingest.validate(loop.checks, loop.lake, loop.use_case, days, run),
        "publish": lambda loop, days, _: accounting.publish(loop.lake, loop.accounts, loop.use_case, days, run),
        "features": lambda loop, days, now: features.compute(
            loop.features,
            loop.checks,
            loop.lake,
            loop.use_case,
            days,
            run,
            known_at=late.data_time(loop.source, loop.use_case, now),
            last_asked=loop.traffic.last_asked(loop.use_case.name),
        ),
        "materialize": lambda loop, days, _: accounting.materialize(loop.features, loop.accounts, loop.use_case, days),
    }


def monitor_steps() -> dict[str, Step]:
    """The tasks of the graph `flights_monitor`, as `workflow.monitor` calls them."""
    measures = {name: _measure(name) for name in ("drift", "performance", "estimate", "service")}
    return {
        "plan": lambda loop, *_: monitor.pending(loop.measurements, loop.lake, loop.use_case),
        "outcomes": _outcomes,
        **measures,
        "fairness": lambda loop, days, _: monitor.fairness(
            loop.lake, loop.traffic, loop.registry, loop.measurements, loop.use_case, days
        ),
        "parity": lambda loop, days, _: parity.measure(loop.traffic, loop.features, loop.measurements, loop.use_case, days),
        "decide": lambda loop, days, now: monitor.decide(loop.measurements, loop.ledger, loop.use_case, days, now=now),
    }


def _measure(name: str) -> Step:
    return lambda loop, days, _: getattr(monitor, name)(loop.traffic, loop.registry, loop.measurements, loop.use_case, days)


def _outcomes(loop: Loop, days: Sequence[Interval], now: datetime) -> dict[str, Any]:
    again = monitor.reworked(loop.accounts, loop.measurements, loop.use_case)
    known_at = late.data_time(loop.source, loop.use_case, now)
    found = monitor.outcomes(loop.lake, loop.traffic, loop.use_case, days, again, known_at)
    loop.measurements.advance(loop.use_case.name, monitor.REWORKED, now)
    return found
