"""Served features against history: a year's requests through the real scoring service, replayed by the monitor's own step."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import httpx
import msgspec

from benchmarks import world
from benchmarks.process import ROOT
from benchmarks.record import Record
from benchmarks.scorer import scoring, wait_until
from everloop.adapters.features import FeastFeatures
from everloop.adapters.ledger import PostgresLedger
from everloop.adapters.measurements import PostgresMeasurements
from everloop.adapters.releases import ReleaseFiles
from everloop.adapters.traffic import PostgresTraffic
from everloop.decide.parity_verdict import for_gate
from everloop.decide.policy import ParityPolicy
from everloop.decide.release.state import ReleaseState
from everloop.demo import year
from everloop.demo.replay import Replay, request_of
from everloop.interval import Interval, grid
from everloop.ports import Decision, Measurement
from everloop.steps import parity

sys.path.append(str(ROOT / "tests"))

from fakes.flights_release import an_hour_off, bundle
from fakes.redis_server import running

WEEKS, SKEWED_WEEKS = 40, 2
SHARE = 0.041
"""Of all flights: a little more than 10,000 in forty weeks."""
EARLY = timedelta(hours=8)
"""So long before the usual moment the year's first flights are asked for when its first week is known: before all history."""
EVERYTHING = ParityPolicy(sample=10**9)


def main() -> None:
    """Forty weeks through either store, then two more with a request-time function that is an hour off."""
    record = Record("parity", packages=("feast", "duckdb", "polars", "psycopg", "redis", "xgboost"))
    with world.postgres() as server, world.folder() as folder, running() as redis:
        for store in ("PostgreSQL", "Redis"):
            database = world.database(server, f"parity_{store.lower()}")
            online = database if store == "PostgreSQL" else redis.uri
            _, features = world.kept_lake("weekly", database, online=online)
            compare(record, store, Asked(features, database, online, folder / store), WEEKS, SKEWED_WEEKS, SHARE)
    record.finish()


@dataclass(frozen=True)
class Asked:
    """A scoring service, and all that stands behind it."""

    features: FeastFeatures
    database: str
    online: str
    folder: Path

    @cached_property
    def ledger(self) -> PostgresLedger:
        return PostgresLedger(self.database)

    def crown(self, url: str, functions: str, seed: int) -> str:
        """Make a release with these request-time functions the champion, and wait until the service answers by it."""
        case, plan = world.flights(), self.features.plan()
        release = ReleaseFiles(str(self.folder / "releases")).put(bundle(case, plan, functions.encode(), seed))
        seq, _ = self.ledger.head("flights")
        after = ReleaseState(champion=release)
        promoted = Decision(actor="benchmark", action="promoted", subject=release, after=after, reason="to be asked")
        self.ledger.append("flights", promoted, expected=seq, at=datetime.now(UTC))
        state = f"{url}/v1/flights"
        wait_until(lambda: (httpx.get(state).json().get("seq") or 0) == seq + 1, f"the service serves {release}")
        return release

    def serving(self) -> dict[str, str]:
        """The settings of the service."""
        return {
            "EVERLOOP_DATABASE": self.database,
            "EVERLOOP_ONLINE": self.online,
            "EVERLOOP_RELEASES": str(self.folder / "releases"),
            "EVERLOOP_MLFLOW": "http://127.0.0.1:1",
        }

    def measure(self, interval: Interval, rows: int) -> dict[str, Measurement]:
        """The monitor's own step on all `rows` that were answered, once they are in the log: by release."""
        traffic, measured = PostgresTraffic(self.database), PostgresMeasurements(self.database)
        wait_until(lambda: traffic.served("flights", interval).num_rows == rows, f"all {rows} rows are in the prediction log")
        parity.measure(traffic, self.features, measured, replace(world.flights(), parity=EVERYTHING), [interval])
        return {found.release: found for found in measured.read("flights", kind=parity.KIND)}

    def gate(self, champion: str) -> str:
        """What the gate of a retraining says of the features that `champion` is served."""
        standing = parity.standing(PostgresMeasurements(self.database), world.flights(), champion)
        (reason,) = for_gate(champion, standing)
        return f"{reason.outcome}: {reason.text}"


def compare(record: Record, store: str, asked: Asked, weeks: int, skewed_weeks: int, share: float) -> None:
    """Ask `weeks` of sound requests and `skewed_weeks` of skewed ones of a service on `store`, and replay them all."""
    case, functions = world.flights(), asked.features.request_functions()
    span = Interval(case.start, case.start + (weeks + skewed_weeks) * case.interval)
    intervals = list(grid(case.start, case.interval, span.end))
    with scoring(asked.folder / "home", asked.serving()) as url:
        sound = asked.crown(url, functions, 1)
        replay, began = Replay(url, None, case, share), time.perf_counter()
        rows = sum(_lived(asked, url, replay, intervals[:weeks]))
        skewed = asked.crown(url, an_hour_off(functions), 2)
        rows += sum(_lived(asked, url, replay, intervals[weeks:]))
        record.sample(f"asking, {store}", seconds=time.perf_counter() - began)
        began = time.perf_counter()
        found = asked.measure(span, rows)
        record.sample(f"waiting for the log and replaying, {store}", seconds=time.perf_counter() - began)
    _judge(record, store, found[sound], found[skewed], asked.gate(skewed))


def _lived(asked: Asked, url: str, replay: Replay, intervals: Sequence[Interval]) -> Iterator[int]:
    """Rows answered interval by interval: requests and pushes as the time goes by, then what ingestion makes of it."""
    for interval in intervals:
        report = replay.play(interval)
        if report.refused:
            raise RuntimeError(f"{len(report.refused)} requests failed, the first with {report.refused[0]}")
        yield report.rows
        asked.features.materialize(interval)
        if interval.start == world.flights().start:
            yield _asked_early(url)


def _asked_early(url: str) -> int:
    """Flights of the first hours of the year asked for as of a moment of which nothing was known; the number of rows."""
    first = year.flights(year.BEGIN, year.BEGIN + timedelta(hours=16)).to_pylist()
    rows = [row | {"event_timestamp": row["event_timestamp"] - EARLY} for row in map(request_of, first)]
    answer = httpx.post(f"{url}/v1/flights/score", content=msgspec.json.encode({"rows": rows}), timeout=60)
    return len(answer.raise_for_status().json()["results"])


def _judge(record: Record, store: str, sound: Measurement, skewed: Measurement, gate: str) -> None:
    record.fact(f"rows, {store}", sound.detail["rows"])
    for status, tally in sorted(sound.detail["statuses"].items()):
        record.fact(f"views that were {status} when served, {store}", tally["rows"])
        record.ratio(f"equal share of {status} views, {store}", tally["equal"] / tally["rows"], 1.0, "higher")
    record.ratio(f"equal share of rows, {store}", sound.value or 0.0, 1.0, "higher")
    record.fact(f"features that differ, {store}", sound.detail["differing"])
    record.fact(f"rows with the function an hour off, {store}", skewed.detail["rows"])
    record.fact(f"verdict with it, {store}", skewed.verdict)
    record.fact(f"features named, {store}", list(skewed.detail["differing"]))
    record.fact(f"what the gate says of it, {store}", gate)
    record.ratio(f"equal share with the function an hour off, {store}", skewed.value or 0.0, 0.0, "lower")


if __name__ == "__main__":
    main()
