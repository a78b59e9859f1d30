"""The real year for benchmarks: a throw-away PostgreSQL, the lake with the flights, weather, planes and all feature tables."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import psycopg
import pyarrow as pa

from everloop.adapters.features import FeastFeatures
from everloop.adapters.lake import DeltaLake
from everloop.catalog import use_case
from everloop.demo import year
from everloop.interval import Interval, grid
from everloop.settings import PROJECT
from everloop.stack.ports import free_port
from everloop.stack.postgres import PostgresServer, account, create_databases
from everloop.use_case import UseCase

KEPT = Path(tempfile.gettempdir()) / "everloop-benchmarks"
"""What takes long to make and is the same every time stays here."""


def flights(interval: timedelta | None = None) -> UseCase:
    """The shipped use case; `interval` other than its own week (a day, an hour) for benchmarks of those."""
    shipped = use_case("flights")
    return shipped if interval is None else replace(shipped, interval=interval)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder that goes away and that PostgreSQL's user can reach, also as root."""
    path = Path(tempfile.mkdtemp(prefix="everloop-bench-"))
    if owner := account():
        os.chown(path, owner.uid, owner.gid)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def postgres(**settings: str) -> Iterator[PostgresServer]:
    """A server that goes away, with the database `everloop` and its schema. `settings` are PostgreSQL's."""
    with folder() as path:
        server = PostgresServer(folder=path / "postgres", port=free_port(), password=uuid.uuid4().hex, settings=settings)
        with server.running(path / "log"):
            database(server, "everloop")
            yield server


def database(server: PostgresServer, name: str) -> str:
    """The URI of a new database with everloop's schema."""
    create_databases(server.uri(), [name])
    with psycopg.connect(server.uri(name)) as connection:
        connection.execute(files("everloop.adapters").joinpath("schema.sql").read_text())
    return server.uri(name)


def whole_year() -> Interval:
    """2013."""
    return Interval(year.BEGIN, year.BEGIN + timedelta(days=365))


def published(lake: DeltaLake, case: UseCase, span: Interval | None = None) -> None:
    """The year's source tables in `lake`, interval by interval, as ingest would leave them (nothing quarantined)."""
    tables = {"flights": "closed_at", "planes": "registered_at", "weather": "observed_at"}
    within = span or whole_year()
    for interval in grid(case.start, case.interval, within.end, after=within.start):
        for name, event_time in tables.items():
            frame = year.within(year.frames()[name], event_time, interval.start, interval.end)
            rows = frame.select(list(case.source(name).columns)).to_arrow()
            lake.replace(name, rows, interval)


def kept_lake(
    name: str, database: str, interval: timedelta | None = None, *, online: str | None = None
) -> tuple[DeltaLake, FeastFeatures]:
    """The lake `name` with the year's tables and features, made when it is not there yet, and the features on it."""
    case = flights(interval)
    place = KEPT / name
    lake = DeltaLake(str(place))
    features = FeastFeatures(PROJECT / "feature_repo", case, lake, database, online=online)
    features.apply()
    if not (place / ".complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        published(lake, case)
        for each in grid(case.start, case.interval, whole_year().end):
            features.compute(each)
        (place / ".complete").touch()
    return lake, features


def examples(lake: DeltaLake, case: UseCase) -> pa.Table:
    """The year's labelled examples, by event time."""
    span = whole_year()
    rows = lake.query(case.examples.sql, dict.fromkeys(case.examples.tables), {"start": span.start, "end": span.end})
    return rows.sort_by([("event_timestamp", "ascending"), ("key", "ascending")])


def entities(lake: DeltaLake, case: UseCase) -> pa.Table:
    """The same as a client asks for them: the request's fields and `event_timestamp`, without label."""
    return examples(lake, case).drop_columns(["key", "label", "label_time"])
