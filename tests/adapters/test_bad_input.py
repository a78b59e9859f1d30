"""What bad files and bad values come to: a row with a problem, a clear error with nothing kept, or accepted."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from everloop.adapters.sources import Sources
from everloop.adapters.sources.contract import conform
from everloop.errors import ContractError, SourceError
from everloop.interval import Interval
from everloop.use_case import DroppedFiles, PostgresTable, SourceTable

MONDAY = datetime(2013, 1, 7, tzinfo=UTC)
DAY = Interval(MONDAY, MONDAY + timedelta(days=1))
TABLE = SourceTable(
    name="readings",
    source=DroppedFiles(pattern="%Y-%m-%d.csv"),
    columns={"id": "int", "place": "string", "level": "float", "at": "timestamp"},
    key=("id",),
    event_time="at",
    suite="readings",
)
HEADER = b"id,place,level,at\n"
GOOD = b"1,EWR,1.5,2013-01-07T01:00:00Z\n"
ROWS = pa.table(
    {
        "id": pa.array([2, 1], pa.int32()),
        "place": pa.array(["EWR", "JFK"]).dictionary_encode(),
        "level": pa.array([1, 2], pa.float32()),
        "at": pa.array([MONDAY, MONDAY], pa.timestamp("ns")),
    }
)


class Landing:
    """A folder with one file, and what is extracted of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, content: bytes, ending: str = "csv", batch_bytes: int = 1_000_000) -> pa.Table:
        (self.folder / f"2013-01-07.{ending}").write_bytes(content)
        table = replace(TABLE, source=DroppedFiles(pattern=f"%Y-%m-%d.{ending}"))
        return pa.Table.from_batches(list(Sources({}, str(self.folder), batch_bytes=batch_bytes).extract(table, DAY)))

    def of_parquet(self, rows: pa.Table, **options: Any) -> pa.Table:
        pq.write_table(rows, self.folder / "rows", **options)
        return self.of((self.folder / "rows").read_bytes(), "parquet")


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path)


def problems(found: pa.Table) -> list[str | None]:
    return sorted(found["_problem"].to_pylist(), key=str)


def test_a_parquet_file_is_held_to_the_same_contract(landing: Landing) -> None:
    found = landing.of_parquet(ROWS.append_column("mood", pa.array(["fine", "sad"])))
    assert found.to_pylist() == [
        {"id": 1, "place": "JFK", "level": 2.0, "at": MONDAY, "_problem": None},
        {"id": 2, "place": "EWR", "level": 1.0, "at": MONDAY, "_problem": None},
    ]
    with pytest.raises(ContractError, match=r'File 2013-01-07.parquet .*\n.*"level" .float. is missing'):
        landing.of_parquet(ROWS.drop_columns(["level"]))


def test_parquet_values_that_do_not_fit_have_the_problem_that_text_has(landing: Landing) -> None:
    odd = pa.table(
        {
            "id": pa.array([2**63, 1, 2, 3], pa.uint64()),
            "place": pa.array([b"EWR", b"Z\xfcrich", b"a\0b", None]),
            "level": pa.array([float("nan"), float("inf"), 1.0, None]),
            "at": pa.array([MONDAY] * 4, pa.timestamp("us", "America/New_York")),
        }
    )
    found = landing.of_parquet(odd)
    assert problems(found) == [
        None,
        "id: '9223372036854775808' is not of type int; level: nan is not of type float",
        "place: 'a\\x00b' is not of type string",
        "place: b'Z\\xfcrich' is not UTF-8; level: inf is not of type float",
    ]
    assert set(found["at"].to_pylist()) == {MONDAY}


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6, 0.99])
def test_a_parquet_file_that_broke_off_is_refused(landing: Landing, kept: float) -> None:
    pq.write_table(ROWS, landing.folder / "whole")
    whole = (landing.folder / "whole").read_bytes()
    with pytest.raises(SourceError, match=r"2013-01-07.parquet cannot be read to its end.*drop it again whole"):
        landing.of(whole[: int(len(whole) * kept)], "parquet")


def test_a_damaged_page_of_a_parquet_file_is_refused(landing: Landing) -> None:
    pq.write_table(ROWS, landing.folder / "whole", compression="zstd")
    whole = bytearray((landing.folder / "whole").read_bytes())
    whole[20:60] = bytes(40)
    with pytest.raises(SourceError, match="cannot be read to its end as Parquet"):
        landing.of(bytes(whole), "parquet")


def test_gzip_is_read_and_refused_when_it_broke_off_or_is_damaged(landing: Landing) -> None:
    whole = gzip.compress(HEADER + GOOD * 1000)
    assert landing.of(whole, "csv.gz").num_rows == 1000
    for broken in (whole[: len(whole) // 2], whole[:-6], whole[:40] + bytes(8) + whole[48:], HEADER + GOOD):
        with pytest.raises(SourceError, match=r"2013-01-07.csv.gz cannot be read to its end.*drop it again whole"):
            landing.of(broken, "csv.gz")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_a_mark_tells_the_encoding(landing: Landing, encoding: str) -> None:
    text = (HEADER + GOOD.replace(b"EWR", "Zürich ✈".encode())).decode()
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    found = landing.of(mark + text.encode(encoding))
    assert found["place"].to_pylist() == ["Zürich ✈"]
    assert problems(found) == [None]


def test_broken_utf_16_is_refused(landing: Landing) -> None:
    with pytest.raises(SourceError, match="cannot be read to its end"):
        landing.of((HEADER + GOOD).decode().encode("utf-16")[:-1])


def test_latin_1_inside_utf_8_spoils_its_own_rows_alone(landing: Landing) -> None:
    found = landing.of(HEADER + GOOD + GOOD.replace(b"EWR", b"Z\xfcrich") + GOOD.replace(b"EWR", "Zürich".encode()))
    assert problems(found) == [None, None, "place: b'Z\\xfcrich' is not UTF-8"]


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("-7.5", -7.5),
        ("1e308", 1e308),
        ("1e-300", 1e-300),
        ("-0", 0.0),
        ("1e999", None),
        ("-1e999", None),
        ("9" * 400, None),
        ("NaN", None),
        ("-inf", None),
        ("Infinity", None),
        ("0x1F", None),
        ("1,5", None),
        ("1_000", None),
    ],
)
def test_only_finite_numbers_are_numbers(landing: Landing, text: str, level: float | None) -> None:
    found = landing.of(HEADER + f'1,EWR,"{text}",2013-01-07\n'.encode())
    assert found["level"].to_pylist() == [level]
    assert problems(found) == [None if level is not None else f"level: {text!r} is not of type float"]


@pytest.mark.parametrize("text", ["9223372036854775808", "-99999999999999999999", "1.5", "1e3", "٣"])
def test_an_integer_that_is_none_or_too_large_is_a_problem(landing: Landing, text: str) -> None:
    found = landing.of(HEADER + f"{text},EWR,1,2013-01-07\n".encode())
    assert problems(found) == [f"id: {text!r} is not of type int"]


def test_a_database_that_holds_nan_and_infinity_gives_problems(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE readings AS SELECT n AS id, 'EWR' AS place, level, timestamptz '2013-01-07' AS at "
            "FROM unnest(ARRAY['NaN', 'Infinity', '-Infinity', '1e308']::double precision[]) WITH ORDINALITY AS t(level, n)"
        )
    table = replace(TABLE, source=PostgresTable(connection="shop", table="readings"))
    [batch] = Sources({"shop": database}, "landing").extract(table, DAY)
    assert [bool(problem) for problem in batch["_problem"].to_pylist()] == [True, True, True, False]


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "text"])
def test_a_time_without_zone_is_utc_whatever_the_servers_zone(database: str, kind: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET timezone = 'America/New_York'")
        connection.execute("SET timezone = 'UTC'")
        connection.execute(f"CREATE TABLE readings (id int, place text, level float, at {kind})")
        connection.execute(
            "INSERT INTO readings VALUES (1, 'EWR', 1, '2013-01-07 23:30:00'), (2, 'EWR', 1, '2013-01-06 23:30:00')"
        )
    try:
        table = replace(TABLE, source=PostgresTable(connection="shop", table="readings"))
        [batch] = Sources({"shop": database}, "landing").extract(table, DAY)
        assert batch["at"].to_pylist() == [MONDAY + timedelta(hours=23, minutes=30)]
    finally:
        with psycopg.connect(database) as connection:
            connection.execute("ALTER ROLE CURRENT_USER RESET timezone")


ODD_MOMENTS = [
    "2013-01-07T00:00:00Z",
    "2013-01-07T00:00:00",
    "2013-01-07 00:00:00.123456+05:30",
    "2013-01-07T00:00-0800",
    "2013-02-29",
    "2013-01-07T24:00:00Z",
    "0000-01-01",
    "0001-01-01T00:00:00+05:00",
    "9999-12-31T23:59:59-05:00",
    "9999-12-31T23:59:59.999999Z",
]


def test_moments_are_parsed_alike_alone_and_beside_one_that_is_none() -> None:
    """Arrow parses a batch of sound moments, Python one with an unsound one: a row must not depend on its neighbours."""

    def parsed(texts: Sequence[str]) -> list[datetime | None]:
        columns = {name: pa.array(texts if name == "at" else [None] * len(texts), pa.string()) for name in TABLE.columns}
        return list(conform(pa.table(columns), TABLE, {}, [])["at"].to_pylist())

    assert [parsed([text])[0] for text in ODD_MOMENTS] == parsed(ODD_MOMENTS)
    assert parsed(ODD_MOMENTS)[4:9] == [None] * 5


def test_a_file_with_a_header_alone_is_an_interval_without_rows(landing: Landing) -> None:
    for content in (HEADER, HEADER.rstrip(), b"\n" + HEADER + b"\n\n"):
        found = landing.of(content)
        assert (found.num_rows, found.column_names) == (0, [*TABLE.columns, "_problem"])


@pytest.mark.parametrize("content", [b"", b"\n\n", b"   "])
def test_an_empty_file_breaks_the_contract(landing: Landing, content: bytes) -> None:
    with pytest.raises(ContractError, match=r'column "id" .int. is missing'):
        landing.of(content)


def test_columns_may_come_in_any_order_and_none_twice(landing: Landing) -> None:
    found = landing.of(b"at,level,place,id\n2013-01-07,1,EWR,7\n")
    assert found.to_pylist() == [{"id": 7, "place": "EWR", "level": 1.0, "at": MONDAY, "_problem": None}]
    with pytest.raises(ContractError, match='column "level" is there 2 times'):
        landing.of(b"id,place,level,at,level\n1,EWR,1,2013-01-07,2\n")


def test_quotes_and_newlines_inside_fields_and_in_the_header_survive(landing: Landing) -> None:
    found = landing.of(b'id,place,level,at,"a ""note"",\nin two lines"\n007,"say ""hi"",\r\nthen",1,2013-01-07,x\n')
    assert found["place"].to_pylist() == ['say "hi",\r\nthen']
    assert found["id"].to_pylist() == [7]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_end_as_any_system_ends_them(landing: Landing, newline: str) -> None:
    found = landing.of((HEADER + GOOD).decode().replace("\n", newline).encode())
    assert (found["id"].to_pylist(), problems(found)) == ([1], [None])


def test_ragged_lines_are_kept_whole_as_problems_in_every_batch(landing: Landing) -> None:
    content = HEADER + (GOOD * 20 + b"7,8\n" + b"1,2,3,4,5\n") * 50
    found = landing.of(content, batch_bytes=1024)
    assert found.num_rows == 22 * 50
    assert problems(found).count("a line without 4 fields: '7,8'") == 50
    assert problems(found).count("a line without 4 fields: '1,2,3,4,5'") == 50


def test_a_quote_that_is_never_closed_loses_no_line(landing: Landing) -> None:
    found = landing.of(HEADER + GOOD + b'2,"EWR,1,2013-01-07\n' + GOOD)
    swallowed = '2,"EWR,1,2013-01-07\n1,EWR,1.5,2013-01-07T01:00:00Z'
    assert problems(found) == [None, f"a line without 4 fields: {swallowed!r}"]
    with pytest.raises(SourceError, match=r"cannot be read to its end.*never closed"):
        landing.of(HEADER + b'2,"EWR,1,2013-01-07\n' + GOOD * 500, batch_bytes=1024)


def test_nul_bytes_are_problems(landing: Landing) -> None:
    found = landing.of(HEADER + GOOD.replace(b"EWR", b"E\0R") + GOOD.replace(b"1.5", b"1\x00.5"))
    assert problems(found) == ["level: '1\\x00.5' is not of type float", "place: 'E\\x00R' is not of type string"]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_a_file_larger_than_a_batch_comes_in_batches_with_every_row_once(landing: Landing, ending: str) -> None:
    text = HEADER + b"".join(b"%d,EWR,1.5,2013-01-07T01:00:00Z\n" % n for n in range(5000))
    if ending == "parquet":
        ids = pa.array(range(5000))
        rows = pa.table({"id": ids, "place": ["EWR"] * 5000, "level": [1.5] * 5000, "at": pa.array([MONDAY] * 5000)})
        assert landing.of_parquet(rows)["id"].to_pylist() == list(range(5000))
        return
    found = landing.of(gzip.compress(text) if ending == "csv.gz" else text, ending, batch_bytes=4096)
    assert found["id"].num_chunks > 10
    assert found["id"].to_pylist() == list(range(5000))
