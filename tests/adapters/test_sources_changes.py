"""Late and corrected rows as the source tells them: by a column of PostgreSQL, by the times of files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from everloop.adapters.sources import Sources
from everloop.adapters.sources.landing import open_landing
from everloop.ports import Source
from everloop.use_case import DroppedFiles, PostgresTable, SourceTable
from fakes.s3 import make_bucket
from fakes.source import MemorySource

DAY = timedelta(days=1)
MONDAY = datetime(2013, 1, 7, tzinfo=UTC)
WRITTEN = datetime(2013, 3, 1, 12, tzinfo=UTC)
FILE = DroppedFiles(pattern="drops/%Y-%m-%d.csv")
TABLE = SourceTable(
    name="readings", source=FILE, columns={"id": "int", "at": "timestamp"}, key=("id",), event_time="at", suite="readings"
)
IN_DATABASE = replace(TABLE, source=PostgresTable(connection="shop", table="readings"), changed_at="touched")

World = tuple[Source, SourceTable, Callable[[datetime, datetime], None]]


def memory() -> World:
    source = MemorySource()
    return source, TABLE, lambda event, at: source.change("readings", event, at)


def files(folder: Path) -> World:
    landing = open_landing(str(folder))

    def write(event: datetime, at: datetime) -> None:
        name = event.strftime(FILE.pattern)
        landing.write(name, b"id,at\n")
        os.utime(folder / name, (at.timestamp(), at.timestamp()))

    return Sources({}, str(folder)), TABLE, write


def postgres(database: str) -> World:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE readings (id bigint, at timestamptz, touched timestamptz)")

    def write(event: datetime, at: datetime) -> None:
        with psycopg.connect(database) as connection:
            connection.execute("INSERT INTO readings VALUES (1, %s, %s), (2, NULL, %s)", [event, at, at])

    return Sources({"shop": database}, "/nowhere"), IN_DATABASE, write


@pytest.fixture(params=["memory", "files", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "memory":
        return memory()
    return files(tmp_path) if request.param == "files" else postgres(request.getfixturevalue("database"))


def test_changes_are_told_by_interval_with_the_latest_time(world: World) -> None:
    source, table, write = world
    for days, hours in ((-1, 0), (0, 1), (6, 3), (7, 2)):
        write(MONDAY + days * DAY, WRITTEN + timedelta(hours=hours))

    def changes(since: datetime | None, until: datetime) -> dict[datetime, datetime]:
        return source.changes(table, since, until, MONDAY - 14 * DAY, 7 * DAY)

    hour = timedelta(hours=1)
    first = {MONDAY - 7 * DAY: WRITTEN}
    assert changes(None, WRITTEN + hour) == first
    assert changes(None, WRITTEN + 9 * hour) == first | {MONDAY: WRITTEN + 3 * hour, MONDAY + 7 * DAY: WRITTEN + 2 * hour}
    assert changes(WRITTEN + hour, WRITTEN + 3 * hour) == {MONDAY: WRITTEN + hour, MONDAY + 7 * DAY: WRITTEN + 2 * hour}
    assert changes(WRITTEN + 9 * hour, WRITTEN + 99 * hour) == {}


def test_a_table_without_such_a_column_tells_nothing(database: str) -> None:
    source, table, write = postgres(database)
    write(MONDAY, WRITTEN)
    assert source.changes(replace(table, changed_at=None), None, WRITTEN + DAY, MONDAY, DAY) == {}


def test_objects_in_s3_tell_when_they_were_written(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bucket(s3_server, "written", monkeypatch)
    uri = "s3://written/landing"
    open_landing(uri, s3_server).write(MONDAY.strftime(FILE.pattern), b"id,at\n")
    now = datetime.now(UTC)
    [(start, written)] = Sources({}, uri, s3_server).changes(TABLE, None, now + DAY, MONDAY, DAY).items()
    assert start == MONDAY
    assert abs(written - now) < timedelta(minutes=5)
