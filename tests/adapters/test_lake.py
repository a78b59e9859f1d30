"""The lake's contract, on Delta in a folder, on Delta in S3, and in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from everloop.adapters.lake import DeltaLake
from everloop.errors import ConfigurationError, DataError
from everloop.interval import Interval
from everloop.ports import Lake
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


def test_sql_takes_parameters_and_thinks_in_utc(lake: Lake) -> None:
    lake.replace("t", rows(1.0, 2.0, 3.0), week(0))
    sql = "SELECT id, strftime(moment, '%H:%M:%S') AS clock FROM t WHERE moment >= $start ORDER BY id"
    found = lake.query(sql, {"t": None}, {"start": ORIGIN + timedelta(seconds=1)})
    assert found.to_pylist() == [{"id": 1, "clock": "00:00:01"}, {"id": 2, "clock": "00:00:02"}]
    assert lake.query_rows("SELECT count(*) AS n FROM frame", {"frame": rows(1.0)}).to_pylist() == [{"n": 1}]


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
