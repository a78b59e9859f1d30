"""The source's contract, for PostgreSQL, files in a folder, files in S3 and the one in memory; then what is special to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from everloop.adapters.sources import Sources
from everloop.adapters.sources.contract import extra_columns
from everloop.adapters.sources.landing import Landing, open_landing
from everloop.errors import ContractError, SourceError
from everloop.interval import Interval
from everloop.ports import Source
from everloop.use_case import DroppedFiles, PostgresTable, SourceTable
from fakes.s3 import make_bucket
from fakes.source import MemorySource

DAY = timedelta(days=1)
MONDAY = datetime(2013, 1, 7, tzinfo=UTC)
WEEK = Interval(MONDAY, MONDAY + 7 * DAY)
FILE = DroppedFiles(pattern="drops/%Y/%m-%d.csv")
TABLE = SourceTable(
    name="readings",
    source=FILE,
    columns={"id": "int", "place": "string", "level": "float", "open": "bool", "at": "timestamp"},
    key=("id",),
    event_time="at",
    suite="readings",
)
IN_DATABASE = replace(TABLE, source=PostgresTable(connection="shop", table="readings"))

Row = Mapping[str, str | None]


def row(id: int, at: datetime, **changes: str | None) -> dict[str, str | None]:  # noqa: A002, a column
    return {"id": str(id), "place": "EWR", "level": "1.5", "open": "true", "at": at.isoformat(), **changes}


def csv(rows: Sequence[Row], header: Sequence[str] | None = None) -> bytes:
    names = header or list(rows[0])
    lines = [",".join(names), *(",".join(r[n] or "" for n in names) for r in rows)]
    return ("\n".join(lines) + "\n").encode()


def extracted(source: Source, table: SourceTable, interval: Interval) -> pa.Table:
    return pa.Table.from_batches(list(source.extract(table, interval)))


class World(Protocol):
    """A source under test, and how rows get into it."""

    table: SourceTable
    source: Source

    def put(self, rows: Sequence[Row], complete: datetime) -> None: ...


@dataclass
class Memory:
    source: MemorySource
    table: SourceTable = TABLE

    def put(self, rows: Sequence[Row], complete: datetime) -> None:
        self.source.put("readings", rows, complete)


@dataclass
class Files:
    source: Source
    landing: Landing
    table: SourceTable = TABLE

    def put(self, rows: Sequence[Row], complete: datetime) -> None:
        day = WEEK.start
        header = list(rows[0]) if rows else list(TABLE.columns)
        while day < complete:
            mine = [r for r in rows if str(r["at"]).startswith(f"{day:%Y-%m-%d}")]
            self.landing.write(day.strftime(FILE.pattern), csv(mine, header))
            day += DAY


@dataclass
class Database:
    source: Source
    uri: str
    table: SourceTable = IN_DATABASE

    def put(self, rows: Sequence[Row], complete: datetime) -> None:
        names = list(rows[0]) if rows else list(TABLE.columns)
        with psycopg.connect(self.uri) as connection:
            columns = ", ".join(f"{name} {'timestamptz' if name == 'at' else 'text'}" for name in names)
            connection.execute(f"CREATE TABLE IF NOT EXISTS readings ({columns})")
            connection.execute("CREATE TABLE IF NOT EXISTS everloop_watermark (source_table text, complete_until timestamptz)")
            connection.execute("DELETE FROM everloop_watermark")
            connection.execute("INSERT INTO everloop_watermark VALUES ('readings', %s)", [complete])
            values = ", ".join(["%s"] * len(names))
            connection.cursor().executemany(f"INSERT INTO readings VALUES ({values})", [[r[n] for n in names] for r in rows])


@pytest.fixture(params=["memory", "folder", "s3", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "memory":
        return Memory(MemorySource())
    if request.param == "folder":
        return Files(Sources({}, str(tmp_path)), open_landing(str(tmp_path)))
    if request.param == "s3":
        endpoint = request.getfixturevalue("s3_server")
        make_bucket(endpoint, "landing", monkeypatch)
        uri = f"s3://landing/{tmp_path.name}"
        return Files(Sources({}, uri, endpoint), open_landing(uri, endpoint))
    uri = request.getfixturevalue("database")
    return Database(Sources({"shop": uri}, str(tmp_path)), uri)


def test_gives_the_interval_in_contract_types_sorted_by_key(world: World) -> None:
    inside = [row(3, WEEK.end - timedelta(seconds=1)), row(1, WEEK.start), row(2, WEEK.start + DAY, level=None, open="f")]
    world.put([*inside, row(4, WEEK.end)], complete=WEEK.end + DAY)
    found = extracted(world.source, world.table, WEEK)
    assert found.column_names == [*TABLE.columns, "_problem"]
    assert found.drop_columns(["_problem"]).to_pylist() == [
        {"id": 1, "place": "EWR", "level": 1.5, "open": True, "at": WEEK.start},
        {"id": 2, "place": "EWR", "level": None, "open": False, "at": WEEK.start + DAY},
        {"id": 3, "place": "EWR", "level": 1.5, "open": True, "at": WEEK.end - timedelta(seconds=1)},
    ]
    assert found["_problem"].null_count == 3


def test_postgres_gives_a_large_interval_in_batches_in_the_same_order_every_time(database: str, tmp_path: Path) -> None:
    world = Database(Sources({"shop": database}, str(tmp_path), batch_bytes=700), database)
    awkward = row(77, WEEK.start, place='Newark, "the old\none"', level="much")
    world.put([*(row(n, WEEK.start + timedelta(seconds=n)) for n in range(300) if n != 77), awkward], complete=WEEK.end)
    batches = list(world.source.extract(world.table, WEEK))
    assert len(batches) > 5
    found = pa.Table.from_batches(batches)
    assert sorted(found["id"].to_pylist()) == list(range(300))
    told = found.filter(pc.equal(found["id"], 77)).to_pylist()[0]
    assert (told["place"], told["level"]) == ('Newark, "the old\none"', None)
    assert told["_problem"] == "level: 'much' is not of type float"
    assert extracted(world.source, world.table, WEEK).equals(found)


def test_a_value_that_does_not_parse_is_null_and_told(world: World) -> None:
    world.put([row(1, WEEK.start, level="much", open="maybe"), row(2, WEEK.start, level="NaN")], complete=WEEK.end)
    found = extracted(world.source, world.table, WEEK)
    assert found["level"].to_pylist() == [None, None]
    assert found["_problem"].to_pylist() == [
        "level: 'much' is not of type float; open: 'maybe' is not of type bool",
        "level: 'NaN' is not of type float",
    ]


def test_all_missing_columns_are_reported_together(world: World) -> None:
    world.put([{"id": "1", "at": WEEK.start.isoformat(), "mood": "fine"}], complete=WEEK.end)
    with pytest.raises(ContractError) as error:
        extracted(world.source, world.table, WEEK)
    assert 'column "place" (string) is missing' in str(error.value)
    assert 'column "level" (float) is missing' in str(error.value)


def test_extra_columns_are_left_out_and_reported(world: World) -> None:
    world.put([{**row(1, WEEK.start), "mood": "fine", "aura": "blue"}], complete=WEEK.end)
    found = extracted(world.source, world.table, WEEK)
    assert "mood" not in found.column_names
    assert extra_columns(found.schema) == ["aura", "mood"]


def test_an_interval_without_rows_has_the_contract_columns(world: World) -> None:
    world.put([], complete=WEEK.end)
    found = extracted(world.source, world.table, WEEK)
    assert found.num_rows == 0
    assert found.column_names == [*TABLE.columns, "_problem"]


def test_the_watermark_is_the_end_of_what_is_complete(world: World) -> None:
    world.put([row(1, WEEK.start)], complete=WEEK.start + 3 * DAY)
    assert world.source.watermark(world.table) == WEEK.start + 3 * DAY


def test_duplicates_are_all_given(world: World) -> None:
    world.put([row(1, WEEK.start), row(1, WEEK.start)], complete=WEEK.end)
    assert extracted(world.source, world.table, WEEK)["id"].to_pylist() == [1, 1]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(Sources({}, str(tmp_path)), open_landing(str(tmp_path)))


def drop(files: Files, day: datetime, content: bytes) -> None:
    files.landing.write(day.strftime(FILE.pattern), content)


def test_a_row_outside_its_files_day_has_a_problem(files: Files) -> None:
    drop(files, MONDAY, csv([row(1, MONDAY), row(2, MONDAY + DAY)]))
    found = extracted(files.source, TABLE, Interval(MONDAY, MONDAY + DAY))
    assert found["_problem"].to_pylist() == [None, "at lies outside drops/2013/01-07.csv, the file of 2013-01-07"]


def test_hourly_intervals_share_a_days_file_and_give_each_row_once(files: Files) -> None:
    hour = timedelta(hours=1)
    drop(files, MONDAY, csv([row(1, MONDAY), row(2, MONDAY + hour), row(3, MONDAY + DAY), {**row(4, MONDAY), "at": "soon"}]))
    hours = [extracted(files.source, TABLE, Interval(MONDAY + n * hour, MONDAY + (n + 1) * hour)) for n in range(3)]
    assert [part["id"].to_pylist() for part in hours] == [[1, 3, 4], [2], []]


def test_absent_files_are_all_named(files: Files) -> None:
    drop(files, MONDAY, csv([row(1, MONDAY)]))
    with pytest.raises(SourceError, match=r"6 files are absent: drops/2013/01-08.csv, .*01-13.csv"):
        extracted(files.source, TABLE, WEEK)


def test_an_absent_file_holds_the_watermark_back(files: Files) -> None:
    for day in (0, 1, 3):
        drop(files, MONDAY + day * DAY, csv([row(1, MONDAY)]))
    drop(files, MONDAY - timedelta(days=400), b"")
    (Path(files.landing._folder) / "drops/2013/notes.txt").write_text("not a day")  # type: ignore[attr-defined]
    assert files.source.watermark(TABLE) == MONDAY - timedelta(days=399)
    Path(files.landing._folder, (MONDAY - timedelta(days=400)).strftime(FILE.pattern)).unlink()  # type: ignore[attr-defined]
    assert files.source.watermark(TABLE) == MONDAY + 2 * DAY


def test_an_empty_landing_place_has_no_watermark(files: Files) -> None:
    assert files.source.watermark(TABLE) is None


def test_a_file_without_a_header_breaks_the_contract(files: Files) -> None:
    drop(files, MONDAY, b"")
    with pytest.raises(ContractError, match="is missing"):
        extracted(files.source, TABLE, Interval(MONDAY, MONDAY + DAY))


def test_a_line_with_the_wrong_number_of_fields_is_kept_as_a_problem(files: Files) -> None:
    drop(files, MONDAY, csv([row(1, MONDAY)]) + b"7,8\n")
    found = extracted(files.source, TABLE, Interval(MONDAY, MONDAY + DAY))
    assert found["id"].to_pylist() == [1, None]
    assert found["_problem"].to_pylist() == [None, "a line without 5 fields: '7,8'"]


def test_bytes_that_are_not_utf8_are_a_problem_not_a_guess(files: Files) -> None:
    text = csv([row(1, MONDAY, place="Zürich"), row(2, MONDAY)])
    day = Interval(MONDAY, MONDAY + DAY)
    drop(files, MONDAY, text.decode().encode("latin-1"))
    found = extracted(files.source, TABLE, day)
    assert found["place"].to_pylist() == [None, "EWR"]
    assert found["_problem"].to_pylist() == ["place: b'Z\\xfcrich' is not UTF-8", None]
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        drop(files, MONDAY, text.decode().encode(encoding))
        assert extracted(files.source, TABLE, day)["place"].to_pylist() == ["Zürich", "EWR"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2013-01-07", MONDAY),
        ("2013-01-07T05:00:00Z", MONDAY + timedelta(hours=5)),
        ("2013-01-07 05:00:00+00", MONDAY + timedelta(hours=5)),
        ("2013-01-07T05:00:00.000001+02:00", MONDAY + timedelta(hours=3, microseconds=1)),
        ("2013-01-32", None),
        ("07.01.2013", None),
    ],
)
def test_timestamps_are_iso_8601_and_utc_without_a_zone(files: Files, text: str, moment: datetime | None) -> None:
    drop(files, MONDAY, csv([{**row(1, MONDAY), "at": text}]))
    found = extracted(files.source, TABLE, Interval(MONDAY, MONDAY + DAY))
    assert found["at"].to_pylist() == [moment]
    assert (found["_problem"][0].as_py() is None) == (moment is not None)


def test_a_database_that_is_down_is_a_source_error_without_the_password() -> None:
    source = Sources({"shop": "postgresql://me:hunter2@127.0.0.1:9/shop"}, "landing")
    with pytest.raises(SourceError, match='System "shop"') as error:
        extracted(source, IN_DATABASE, WEEK)
    assert "hunter2" not in str(error.value)


def test_a_database_that_dies_half_way_gives_no_rows(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE VIEW readings AS SELECT n AS id, 'EWR' AS place, true AS open, timestamptz '2013-01-07 00:00Z' AS at, "
            "CASE WHEN n = 5000 THEN pg_terminate_backend(pg_backend_pid())::text ELSE '1' END AS level "
            "FROM generate_series(1, 10000) AS n"
        )
    with pytest.raises(SourceError, match=r'System "shop".*may simply run again'):
        extracted(Sources({"shop": database}, "landing"), IN_DATABASE, WEEK)


def test_without_a_watermark_table_the_latest_event_time_counts(database: str) -> None:
    world = Database(Sources({"shop": database}, "landing"), database)
    world.put([row(1, WEEK.start), row(2, WEEK.start + DAY)], complete=WEEK.end)
    with psycopg.connect(database) as connection:
        connection.execute("DROP TABLE everloop_watermark")
    assert world.source.watermark(world.table) == WEEK.start + DAY


def test_typed_columns_and_quoted_names_survive(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute('CREATE SCHEMA "Odd"')
        connection.execute(
            'CREATE TABLE "Odd".readings (id bigint, place text, level double precision, open boolean, at timestamptz)'
        )
        place = 'a "quoted", two\nlines'
        connection.execute('INSERT INTO "Odd".readings VALUES (1, %s, 1e-7, true, %s), (2, %s, NULL, NULL, %s)', [
            place, WEEK.start, "", WEEK.start,
        ])  # fmt: skip
    table = replace(TABLE, source=PostgresTable(connection="shop", table="Odd.readings"))
    found = extracted(Sources({"shop": database}, "landing"), table, WEEK)
    assert found["place"].to_pylist() == [place, ""]
    assert found["level"].to_pylist() == [1e-7, None]
    assert found["open"].to_pylist() == [True, None]
    assert found["_problem"].null_count == 2


def test_an_absent_table_breaks_the_contract(database: str) -> None:
    table = replace(TABLE, source=PostgresTable(connection="shop", table="nowhere"))
    with pytest.raises(ContractError, match='table "nowhere" breaks the contract'):
        Sources({"shop": database}, "landing").watermark(table)
