"""The lake's contract, on Delta in a folder, on Delta in S3, and in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from everloop.adapters.lake import DeltaLake
from everloop.errors import ConfigurationError, DataError
from everloop.interval import Interval
from everloop.ports import Batches, Lake
from fakes.lake import MemoryLake
from fakes.s3 import make_bucket

ORIGIN = datetime(2013, 1, 1, tzinfo=UTC)


def week(n: int) -> Interval:
    return Interval(ORIGIN + timedelta(weeks=n), ORIGIN + timedelta(weeks=n + 1))


def rows(*values: float | None, first: int = 0) -> pa.Table:
    return pa.table(
        {
            "id": pa.array(range(first, first + len(values)), pa.int64()),
            "value": pa.array(values, pa.float64()),
            "moment": pa.array([ORIGIN + timedelta(seconds=i) for i in range(len(values))], pa.timestamp("us", "UTC")),
        }
    )


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    make_bucket(s3_server, "lake", monkeypatch)
    return {"AWS_ENDPOINT_URL": s3_server, "AWS_ALLOW_HTTP": "true"}


@pytest.fixture(params=["memory", "folder", "s3"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    if request.param == "memory":
        return MemoryLake()
    if request.param == "folder":
        return DeltaLake(str(tmp_path / "lake"))
    options: dict[str, str] = request.getfixturevalue("bucket")
    return DeltaLake(f"s3://lake/{tmp_path.name}", options)


def test_reads_back_what_was_written(lake: Lake) -> None:
    lake.replace("t", rows(1.0, None), week(0))
    assert lake.read("t").equals(rows(1.0, None))


def test_replaces_only_its_own_interval(lake: Lake) -> None:
    lake.replace("t", rows(1.0, 2.0), week(0))
    lake.replace("t", rows(3.0, first=5), week(1))
    lake.replace("t", rows(9.0), week(0))
    assert lake.read("t", interval=week(0))["value"].to_pylist() == [9.0]
    assert lake.read("t", interval=week(1))["id"].to_pylist() == [5]
    assert lake.intervals("t") == {week(0).start, week(1).start}


def test_equal_content_writes_nothing_whatever_its_order(lake: Lake) -> None:
    given = rows(1.0, None, float("nan"))
    version = lake.replace("t", given, week(0))
    assert lake.replace("t", given, week(0)) == version
    assert lake.replace("t", given.take([2, 0, 1]), week(0)) == version


def test_a_pinned_version_keeps_its_rows(lake: Lake) -> None:
    old = lake.replace("t", rows(1.0), week(0))
    lake.replace("t", rows(2.0), week(0))
    assert lake.read("t", version=old)["value"].to_pylist() == [1.0]
    assert lake.query("SELECT sum(value) AS v FROM t", {"t": old}).to_pylist() == [{"v": 1.0}]


def test_empty_intervals_are_remembered_before_and_after_rows(lake: Lake) -> None:
    version = lake.replace("t", rows(), week(3))
    assert lake.replace("t", rows(), week(3)) == version
    lake.replace("t", rows(1.0), week(4))
    lake.replace("t", rows(), week(4))
    assert lake.intervals("t") == {week(3).start, week(4).start}
    assert lake.read("t").num_rows == 0
    assert lake.read("t").column_names == ["id", "value", "moment"]


def test_an_absent_table_is_empty_without_columns_and_has_no_version(lake: Lake) -> None:
    assert lake.read("nothing").shape == (0, 0)
    assert lake.version("nothing") is None
    assert lake.intervals("nothing") == set()
    with pytest.raises(DataError, match='no table "nothing"'):
        lake.query("SELECT 1 FROM nothing", {"nothing": None})


def test_lists_its_tables_and_not_its_own_books(lake: Lake) -> None:
    lake.replace("b", rows(), week(0))
    lake.replace("a", rows(1.0), week(0))
    lake.stage("run/x", rows(1.0))
    assert lake.tables() == ["a", "b"]


def test_timestamps_are_microseconds_in_utc(lake: Lake) -> None:
    moment = pa.array([1_357_000_000_123_456_789], pa.timestamp("ns"))
    lake.replace("t", pa.table({"at": moment, "name": pa.array(["a"]).dictionary_encode()}), week(0))
    found = lake.read("t")
    assert found.schema == pa.schema({"at": pa.timestamp("us", "UTC"), "name": pa.string()})
    assert found["at"].cast(pa.int64()).to_pylist() == [1_357_000_000_123_456]


def test_a_new_column_is_added_and_old_rows_have_null(lake: Lake) -> None:
    lake.replace("t", rows(1.0), week(0))
    lake.replace("t", rows(2.0).append_column("more", pa.array(["x"])), week(1))
    found = lake.query("SELECT id, more FROM t ORDER BY _interval", {"t": None})
    assert found["more"].to_pylist() == [None, "x"]


def test_a_changed_type_is_refused_with_a_reason(lake: Lake) -> None:
    lake.replace("t", rows(1.0), week(0))
    changed = rows(1.0).set_column(1, "value", pa.array(["many"]))
    with pytest.raises(DataError, match='"value" is string, table "t" has it as double'):
        lake.replace("t", changed, week(1))


def test_lists_of_text_survive(lake: Lake) -> None:
    given = rows(1.0).append_column("why", pa.array([["a", "b"]], pa.list_(pa.string())))
    version = lake.replace("t", given, week(0))
    assert lake.replace("t", given, week(0)) == version
    assert lake.read("t")["why"].to_pylist() == [["a", "b"]]


@pytest.mark.parametrize("held_rows", [5_000, 10_000])
def test_rows_stay_in_the_order_in_which_they_were_given(tmp_path: Path, held_rows: int) -> None:
    """Equal rows are then equal bytes, and files made of them too."""
    given = pa.table({"key": [f"{n:05}" for n in range(6_000)]})
    in_parts = Batches(given.schema, 6_000, lambda: (given.slice(n, 750).to_batches()[0] for n in range(0, 6_000, 750)))
    lake = DeltaLake(str(tmp_path), held_rows=held_rows, file_rows=2_000)
    lake.replace("t", in_parts, week(0))
    assert lake.read("t").equals(given)
    assert lake.batches("t", week(0)).to_table().equals(given)


def test_sql_need_not_name_every_parameter(lake: Lake) -> None:
    rows = pa.table({"n": [1, 2, 3]})
    found = lake.query_rows("SELECT n FROM t WHERE n < $least AND '$end' <> ''", {"t": rows}, {"least": 3, "end": 7})
    assert found["n"].to_pylist() == [1, 2]


def test_sql_takes_parameters_and_thinks_in_utc(lake: Lake) -> None:
    lake.replace("t", rows(1.0, 2.0, 3.0), week(0))
    sql = "SELECT id, strftime(moment, '%H:%M:%S') AS clock FROM t WHERE moment >= $start ORDER BY id"
    found = lake.query(sql, {"t": None}, {"start": ORIGIN + timedelta(seconds=1)})
    assert found.to_pylist() == [{"id": 1, "clock": "00:00:01"}, {"id": 2, "clock": "00:00:02"}]
    assert lake.query_rows("SELECT count(*) AS n FROM frame", {"frame": rows(1.0)}).to_pylist() == [{"n": 1}]


@pytest.mark.parametrize("end", ["", ";", " -- by moment", " ORDER BY id"])
def test_sql_is_answered_in_batches_by_the_order_asked_for(lake: Lake, end: str) -> None:
    lake.replace("t", rows(3.0, 1.0, 2.0, 9.0), week(0))
    sql = f"SELECT id, value, moment FROM t WHERE value < $most{end}"
    found = list(lake.query_batches(sql, {"t": None}, {"most": 9.0, "unasked": 1}, order="value"))
    assert pa.Table.from_batches(found)["value"].to_pylist() == [1.0, 2.0, 3.0]
    assert found[0].schema.field("moment").type == pa.timestamp("us", "UTC")


def test_sql_in_batches_sees_the_version_asked_for_and_may_find_nothing(lake: Lake) -> None:
    first = lake.replace("t", rows(1.0), week(0))
    lake.replace("t", rows(2.0), week(0))
    then = lake.query_batches("SELECT value FROM t", {"t": first}, order="value")
    assert pa.Table.from_batches(list(then))["value"].to_pylist() == [1.0]
    [nothing, *_] = lake.query_batches("SELECT value FROM t WHERE value > 5", {"t": None}, order="value")
    assert (nothing.num_rows, nothing.schema.names) == (0, ["value"])
    with pytest.raises(DataError, match='no table "u"'):
        list(lake.query_batches("SELECT 1 AS value FROM u", {"u": None}, order="value"))


def test_sql_within_a_window_sees_the_intervals_that_begin_in_it(lake: Lake) -> None:
    for n in range(4):
        lake.replace("t", rows(float(n)), week(n))
    within = Interval(week(1).start, week(3).start)
    found = lake.query("SELECT value FROM t ORDER BY value", {"t": None}, within=within)
    assert found["value"].to_pylist() == [1.0, 2.0]
    nothing = Interval(ORIGIN - timedelta(days=2), ORIGIN - timedelta(days=1))
    assert lake.query("SELECT value FROM t", {"t": None}, within=nothing).num_rows == 0


def test_the_rows_of_a_version_are_counted(lake: Lake) -> None:
    first = lake.replace("t", rows(1.0, 2.0), week(0))
    second = lake.replace("t", rows(3.0), week(1))
    assert (lake.count("t", first), lake.count("t", second)) == (2, 3)


def test_a_reader_sees_what_another_writes_after_it_has_read(delta: tuple[str, Any]) -> None:
    reader, writer = DeltaLake(*delta), DeltaLake(*delta)
    first = writer.replace("t", rows(1.0), week(0))
    assert reader.version("t") == first
    second = writer.replace("t", rows(2.0), week(0))
    assert reader.version("t") == second
    assert reader.read("t")["value"].to_pylist() == [2.0]
    assert reader.read("t", version=first)["value"].to_pylist() == [1.0]


def test_a_scan_shows_a_versions_rows_with_their_interval_and_old_rows_with_null_for_a_newer_column(lake: Lake) -> None:
    first = lake.replace("hours", rows(1.0, 2.0), week(0))
    wider = rows(3.0).append_column("more", pa.array(["x"]))
    lake.replace("hours", wider, week(1))
    found = lake.scan("hours").sort("_interval", "value").select("value", "more", "_interval").collect()
    assert found.rows() == [
        (1.0, None, week(0).start),
        (2.0, None, week(0).start),
        (3.0, "x", week(1).start),
    ]
    assert lake.scan("hours", first).collect().height == 2


def test_a_scan_of_an_absent_table_is_refused(lake: Lake) -> None:
    with pytest.raises(DataError, match='no table "nowhere"'):
        lake.scan("nowhere")


def test_staged_rows_are_replaced_and_forgotten_by_whole_parts(lake: Lake) -> None:
    run = "scheduled__2013-01-01T00:00:00+00:00"
    lake.stage(f"{run}/a/raw", rows(1.0))
    lake.stage(f"{run}/a/raw", rows(2.0))
    lake.stage(f"{run}/ab/raw", rows(3.0))
    assert lake.staged(f"{run}/a/raw").equals(rows(2.0))
    lake.unstage(f"{run}/a")
    lake.unstage(f"{run}/a")
    with pytest.raises(DataError, match="clear the run"):
        lake.staged(f"{run}/a/raw")
    assert lake.staged(f"{run}/ab/raw").equals(rows(3.0))


def test_staging_takes_batches_and_an_error_within_keeps_what_stood(lake: Lake) -> None:
    lake.stage("run/a", rows(1.0))
    with lake.staging("run/a") as put:
        for batch in rows(1.0, 2.0, 3.0).to_batches(max_chunksize=1):
            put(batch)
    found = lake.staged_batches("run/a")
    assert (found.num_rows, found.to_table()["value"].to_pylist()) == (3, [1.0, 2.0, 3.0])
    assert found.to_table().equals(found.to_table())
    with pytest.raises(ZeroDivisionError), lake.staging("run/a") as put:
        put(rows(1 / 0).to_batches()[0])
    assert lake.staged("run/a").num_rows == 3
    lake.stage("run/empty", rows())
    assert [batch.num_rows for batch in lake.staged_batches("run/empty")] == [0]


def test_one_interval_is_read_in_batches(lake: Lake) -> None:
    lake.replace("t", rows(1.0, 2.0), week(0))
    lake.replace("t", rows(3.0), week(1))
    found = lake.batches("t", week(0))
    assert (found.num_rows, found.to_table().equals(rows(1.0, 2.0))) == (2, True)
    assert [batch.num_rows for batch in lake.batches("t", week(5))] == [0]
    assert lake.batches("nothing", week(0)).num_rows == 0


def test_the_schema_is_that_of_the_rows(lake: Lake) -> None:
    assert lake.schema("t") is None
    lake.replace("t", rows(1.0), week(0))
    assert lake.schema("t") == rows().schema


@pytest.fixture(params=["memory", "folder", "s3"])
def streaming(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    """A lake that holds no more than two rows of what is given in batches, and puts three into a file."""
    if request.param == "memory":
        return MemoryLake()
    if request.param == "folder":
        return DeltaLake(str(tmp_path / "lake"), held_rows=2, file_rows=3)
    return DeltaLake(f"s3://lake/{tmp_path.name}", request.getfixturevalue("bucket"), held_rows=2, file_rows=3)


def batches(table: pa.Table) -> Batches:
    return Batches(table.schema, table.num_rows, lambda: iter(table.to_batches(max_chunksize=2)))


def test_batches_replace_an_interval_like_rows_in_memory(streaming: Lake) -> None:
    streaming.replace("t", batches(rows(1.0, 2.0, 3.0, 4.0, 5.0)), week(0))
    streaming.replace("t", rows(7.0), week(1))
    streaming.replace("t", batches(rows(*range(1, 9))), week(0))
    assert sorted(streaming.read("t", interval=week(0))["value"].to_pylist()) == list(range(1, 9))
    assert streaming.read("t", interval=week(1))["value"].to_pylist() == [7.0]
    assert streaming.query("SELECT count(*) AS n FROM t WHERE value > 6", {"t": None})["n"].to_pylist() == [3]
    streaming.replace("t", rows(1.0), week(0))
    assert streaming.read("t")["value"].to_pylist().count(1.0) == 1


def test_equal_batches_write_nothing_whatever_their_order_and_one_other_value_does(streaming: Lake) -> None:
    given = rows(1.0, None, float("nan"), 4.0, -0.0).append_column("why", pa.array([["a"], [], None, ["b", "c"], None]))
    version = streaming.replace("t", batches(given), week(0))
    assert streaming.replace("t", batches(given.take([4, 2, 0, 1, 3])), week(0)) == version
    assert streaming.replace("t", given, week(0)) == version
    changed = given.set_column(1, "value", pa.array([1.0, None, float("nan"), 4.0, 5.0]))
    assert streaming.replace("t", batches(changed), week(0)) == version + 1


def test_batches_add_a_new_column_and_do_not_change_a_type(streaming: Lake) -> None:
    streaming.replace("t", batches(rows(1.0, 2.0, 3.0)), week(0))
    wider = rows(4.0, 5.0, 6.0).append_column("more", pa.array(["x", "y", "z"]))
    streaming.replace("t", batches(wider), week(1))
    found = streaming.query("SELECT more FROM t ORDER BY value", {"t": None})
    assert found["more"].to_pylist() == [None, None, None, "x", "y", "z"]
    many = rows(1.0, 2.0, 3.0).set_column(1, "value", pa.array(["a", "b", "c"]))
    with pytest.raises(DataError, match='"value" is string, table "t" has it as double'):
        streaming.replace("t", batches(many), week(1))
    assert streaming.read("t").num_rows == 6


def test_staged_rows_come_back_a_batch_at_a_time_in_the_columns_asked_for(lake: Lake) -> None:
    lake.stage("run/a", rows(1.0, 2.0, 3.0))
    name = rows(1.0).column_names[-1]
    assert pa.Table.from_batches(lake.staged_batches("run/a", [name])).equals(rows(1.0, 2.0, 3.0).select([name]))
    with pytest.raises(DataError, match="clear the run"):
        list(lake.staged_batches("run/b", [name]))


@pytest.fixture(params=["folder", "s3"])
def delta(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Any]:
    if request.param == "folder":
        return str(tmp_path / "lake"), None
    return f"s3://lake/{tmp_path.name}", request.getfixturevalue("bucket")


def test_concurrent_writers_of_different_intervals_all_land(delta: tuple[str, Any]) -> None:
    def write(n: int) -> None:
        DeltaLake(*delta).replace("t", rows(*([float(n)] * (n % 3)), first=n * 10), week(n))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    lake = DeltaLake(*delta)
    assert lake.intervals("t") == {week(n).start for n in range(8)}
    assert lake.read("t").num_rows == sum(n % 3 for n in range(8))


WRITER = """
import sys, json
from datetime import UTC, datetime, timedelta
import pyarrow as pa
from everloop.adapters.lake import DeltaLake
from everloop.interval import Interval
from everloop.ports import Batches
uri, options, mine = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
lake = DeltaLake(uri, options, held_rows=3)
for turn in range(4):
    start = datetime(2013, 1, 1, tzinfo=UTC) + timedelta(weeks=turn * 3 + mine)
    rows = pa.table({"id": [mine] * (2 + 2 * (turn % 2)), "turn": [turn] * (2 + 2 * (turn % 2))})
    lake.replace("t", Batches.of(rows), Interval(start, start + timedelta(weeks=1)))
"""


def test_writing_processes_of_different_intervals_all_land(delta: tuple[str, Any]) -> None:
    """In memory and in batches by turns, so that both ways of writing race for the commits."""
    uri, options = delta
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITER, uri, json.dumps(options)]
    writers = [subprocess.Popen([*command, str(n)], env=environment) for n in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    found = DeltaLake(uri, options).query("SELECT id, turn, count(*) AS n FROM t GROUP BY ALL", {"t": None}).to_pylist()
    assert {(row["id"], row["turn"]): row["n"] for row in found} == {
        (n, turn): 2 + 2 * (turn % 2) for n in range(3) for turn in range(4)
    }


def test_vacuum_deletes_only_what_no_kept_version_needs(delta: tuple[str, Any]) -> None:
    lake = DeltaLake(*delta)
    old = lake.replace("t", rows(1.0), week(0))
    lake.replace("t", rows(2.0), week(0))
    lake.stage("run/a", rows(1.0))
    assert lake.vacuum(datetime.now(UTC) - timedelta(days=1)) == {"t": 0}
    assert lake.read("t", version=old)["value"].to_pylist() == [1.0]
    assert lake.vacuum(datetime.now(UTC) + timedelta(seconds=2)) == {"t": 1}
    assert lake.read("t")["value"].to_pylist() == [2.0]
    with pytest.raises(DataError, match="Nothing is staged"):
        lake.staged("run/a")


def test_superseded_versions_are_kept_for_the_retention(tmp_path: Path) -> None:
    from deltalake import DeltaTable

    DeltaLake(str(tmp_path), retention=timedelta(days=30)).replace("t", rows(1.0), week(0))
    assert DeltaTable(str(tmp_path / "t")).metadata().configuration["delta.logRetentionDuration"] == "interval 30 days"


@pytest.mark.parametrize("name", ["../outside", "a//b", ""])
def test_a_staged_name_cannot_leave_the_lake(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="does not name something staged"):
        DeltaLake(str(tmp_path)).stage(name, rows(1.0))
