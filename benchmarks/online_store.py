"""Our online stores against Feast's PostgreSQL store on the same server: materialization, reads of 1 and of 100 entities."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uvloop

from benchmarks import world
from benchmarks.peers import FEAST, environment
from benchmarks.process import ROOT, measure
from benchmarks.record import Record
from everloop.adapters.features import FeastFeatures
from everloop.adapters.features.stores.contract import PlannedRead, open_online, open_online_async
from everloop.adapters.lake import DeltaLake
from everloop.interval import Interval
from everloop.use_case import DroppedFiles, Examples, SourceTable, UseCase

sys.path.append(str(ROOT / "tests"))

ENTITIES = 300_000
VIEWS = ("balance", "usage", "support")
FEATURES = [f"{view}:{view}_{n}" for view in VIEWS for n in range(3)]
REPO = Path(__file__).with_name("online_repo")
DAY = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 2, tzinfo=UTC))
REQUESTS = {1: 500, 100: 100}
ROUNDS = 3


def main(entities: int = ENTITIES) -> None:
    """Write 300,000 entities of three views and read them, on every side."""
    from fakes.redis_server import running

    record = Record("online_store", packages=("feast", "psycopg", "asyncpg", "redis"))
    with world.folder() as folder, world.postgres() as server, running() as redis:
        record.fact("entities", entities)
        make(folder, entities)
        database = server.uri("everloop")
        places = {"postgres": database, "redis": redis.uri}
        for _ in range(ROUNDS):
            for name, uri in places.items():
                took = measure("benchmarks.online_store", "write", folder=str(folder), database=database, online=uri)
                record.sample(f"ours, {name}", rows_per_second=entities * len(VIEWS) / took.value)
        peer = _feast(record, folder, database, entities)
        _reads(record, folder, places, peer, entities)
    record.finish()


def feast_database(uri: str) -> dict[str, Any]:
    """A libpq URI as Feast's configuration spells it."""
    parts = urlsplit(uri)
    return {
        "host": parts.hostname,
        "port": parts.port,
        "database": parts.path[1:],
        "user": parts.username,
        "password": parts.password,
    }


def feast(folder: Path, database: str) -> Callable[..., Any]:
    """What calls a function of `benchmarks.feast_postgres` in Feast's own environment."""

    def call(function: str, **arguments: Any) -> Any:
        told = {"folder": str(folder), "database": feast_database(database), **arguments}
        return measure("benchmarks.feast_postgres", function, python=environment("feast", FEAST), **told).value

    return call


def fill_feast(call: Callable[..., Any]) -> dict[str, float]:
    """Seconds by view to materialize the day into Feast's store."""
    found: dict[str, float] = call("materialize", views=list(VIEWS), end=DAY.end.isoformat())
    return found


def _feast(record: Record, folder: Path, database: str, entities: int) -> Callable[..., Any]:
    """Fill Feast's store; what then calls `read` there."""
    call = feast(folder, database)
    for seconds in fill_feast(call).values():
        record.sample("Feast's PostgreSQL store", rows_per_second=entities / seconds)
    ours = record.median("ours, postgres", "rows_per_second")
    theirs = record.median("Feast's PostgreSQL store", "rows_per_second")
    record.ratio("rows materialized a second, ours / Feast's", ours / theirs, 30, "higher")
    return call


def _reads(record: Record, folder: Path, places: dict[str, str], peer: Callable[..., Any], entities: int) -> None:
    random = np.random.default_rng(0)
    for size, count in REQUESTS.items():
        requests = random.integers(0, entities, (count, size)).tolist()
        for _ in range(ROUNDS):
            theirs = peer("read", features=FEATURES, requests=requests)
            record.sample(f"Feast's PostgreSQL store, {size}", p50_ms=theirs["p50_ms"])
            for name, uri in places.items():
                asked = {"folder": str(folder), "database": places["postgres"], "online": uri, "requests": requests}
                for face in ("scorer", "loop", "feast"):
                    ours = measure("benchmarks.online_store", "read", face=face, **asked).value
                    record.sample(f"ours, {name} by {face}, {size}", p50_ms=ours["p50_ms"])
                    equal = f"equal values, {name} by {face}, {size}"
                    record.fact(equal, same(ours["values"], theirs["values"]) and record.facts.get(equal, True))
        target = {1: 10, 100: 5}[size]
        for name in places:
            sides = f"Feast's PostgreSQL store, {size}", f"ours, {name} by scorer, {size}"
            theirs_ms, ours_ms = (record.median(side, "p50_ms") for side in sides)
            record.ratio(f"p50 of {size}, Feast's PostgreSQL store / ours on {name}", theirs_ms / ours_ms, target, "higher")


def same(ours: dict[str, list[Any]], theirs: dict[str, list[Any]]) -> bool:
    """Whether every feature has the same values on both sides, by its short name."""
    names = [name.partition(":")[2] for name in FEATURES]
    return all(ours[name] == theirs[name] for name in names)


def make(folder: Path, entities: int) -> None:
    """Each view's rows, in a lake and as the Parquet file that Feast's store reads best."""
    lake, random = DeltaLake(str(folder / "lake")), np.random.default_rng(0)
    for view in VIEWS:
        times = pa.array([DAY.start + timedelta(hours=12)] * entities, pa.timestamp("us", "UTC"))
        numbers = {f"{view}_{n}": random.random(entities) for n in range(3)}
        rows = pa.table({"customer": np.arange(entities), **numbers, "event_timestamp": times, "created": times})
        lake.replace(view, rows, DAY)
        pq.write_table(rows, folder / f"{view}.parquet")


def write(folder: str, database: str, online: str) -> float:
    """Seconds to materialize the day into empty tables."""
    with _features(folder, database, online) as features:
        with contextlib.closing(open_online(online)) as store:
            store.drop(features.plan().views)
        features.apply()
        began = time.perf_counter()
        changed = features.materialize(DAY)
        took = time.perf_counter() - began
    assert len(set(changed.values())) == 1
    assert set(changed) == set(VIEWS)
    return took


def read(folder: str, database: str, online: str, requests: list[list[int]], face: str) -> dict[str, Any]:
    """The p50 milliseconds of a read of all views for each list of customers, and what the last of them gave.

    `face`: the scorer's (asyncio on uvloop), the loop's, or Feast's own `get_online_features` on our store.
    """
    with _features(folder, database, online) as features:
        return {"scorer": _by_scorer, "loop": _by_loop, "feast": _by_feast}[face](features, online, requests)


def _by_scorer(features: FeastFeatures, online: str, requests: list[list[int]]) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        store, planned = open_online_async(online, 30), PlannedRead(features.plan())
        await store.open()
        took = []
        for customers in [*requests[:20], *requests]:
            rows = [{"customer": customer} for customer in customers]
            now = [datetime.now(UTC)] * len(rows)
            began = time.perf_counter()
            found = planned.judges.judged(await store.stored(planned, rows), now)
            took.append((time.perf_counter() - began) * 1000)
        await store.close()
        return _told(took, [vector for _, vector in found])

    return uvloop.run(run())


def _by_loop(features: FeastFeatures, online: str, requests: list[list[int]]) -> dict[str, Any]:
    planned, took = PlannedRead(features.plan()), []
    with contextlib.closing(open_online(online)) as store:
        for customers in [*requests[:20], *requests]:
            rows = [{"customer": customer} for customer in customers]
            now = [datetime.now(UTC)] * len(rows)
            began = time.perf_counter()
            found = store.read(planned, rows, now)
            took.append((time.perf_counter() - began) * 1000)
    return _told(took, [vector for _, vector in found])


def _by_feast(features: FeastFeatures, _: str, requests: list[list[int]]) -> dict[str, Any]:
    took = []
    for customers in [*requests[:20], *requests]:
        rows = [{"customer": customer} for customer in customers]
        began = time.perf_counter()
        values = features.store.get_online_features(features=FEATURES, entity_rows=rows).to_dict()
        took.append((time.perf_counter() - began) * 1000)
    return {"p50_ms": statistics.median(took[20:]), "values": values}


def _told(took: list[float], vectors: list[dict[str, Any]]) -> dict[str, Any]:
    names = {name.partition(":")[2]: name.replace(":", "__") for name in FEATURES}
    values = {short: [vector[long] for vector in vectors] for short, long in names.items()}
    return {"p50_ms": statistics.median(took[20:]), "values": values}


@contextlib.contextmanager
def _features(folder: str, database: str, online: str) -> Iterator[FeastFeatures]:
    os.environ |= {"EVERLOOP_DATABASE": database, "EVERLOOP_ONLINE": online, "EVERLOOP_LAKE": folder}
    features = FeastFeatures(REPO, _case(), DeltaLake(f"{folder}/lake"), database, online=online)
    features.apply()
    yield features


def _case() -> UseCase:
    columns = {"customer": "int", "seen_at": "timestamp"}
    source = SourceTable(
        name="customers",
        source=DroppedFiles(pattern="%Y.csv"),
        columns=columns,
        key=("customer",),
        event_time="seen_at",
        suite="customers",
    )
    sql = "SELECT customer AS key FROM customers"
    return UseCase(
        name="customers",
        description="Customers",
        start=DAY.start,
        interval=DAY.end - DAY.start,
        sources=(source,),
        examples=Examples(tables=("customers",), suite="customers", sql=sql),
        feature_service="customers",
        entity=("customer",),
    )


if __name__ == "__main__":
    main()
