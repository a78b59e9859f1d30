"""A day's work on a long history opens the files of its own window, and replays a log that never grows long."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from everloop.adapters.lake import DeltaLake
from everloop.interval import Interval

ORIGIN = datetime(2013, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = 25
WINDOW = 5
SUM = "SELECT sum(value) AS total FROM t WHERE moment >= $start AND moment < $end"


def day(n: int) -> Interval:
    return Interval(ORIGIN + n * DAY, ORIGIN + (n + 1) * DAY)


def rows(n: int, value: float = 1.0) -> pa.Table:
    moments = pa.array([day(n).start + timedelta(hours=hour) for hour in (0, 23)], pa.timestamp("us", "UTC"))
    return pa.table({"moment": moments, "value": [value, value]})


@pytest.fixture
def shortened(tmp_path: Path) -> DeltaLake:
    """A lake of 25 days, of which the files of all days but the last five are gone from under the table."""
    lake = DeltaLake(str(tmp_path))
    for n in range(DAYS):
        lake.replace("t", rows(n), day(n))
    for n in range(DAYS - WINDOW):
        for file in tmp_path.glob(f"t/_interval={day(n).start:%Y-%m-%d}*/*.parquet"):
            file.unlink()
    assert len(list(tmp_path.glob("t/_interval=*/*.parquet"))) == WINDOW
    return lake


def test_sql_bounded_in_time_opens_no_file_of_another_day(shortened: DeltaLake) -> None:
    bounds = {"start": day(DAYS - WINDOW).start, "end": day(DAYS - 1).end}
    assert shortened.query(SUM, {"t": None}, bounds)["total"].to_pylist() == [2.0 * WINDOW]
    with pytest.raises(Exception, match="not found"):
        shortened.query(SUM, {"t": None}, bounds | {"start": ORIGIN})


def test_reading_and_replacing_an_interval_opens_no_file_of_another(shortened: DeltaLake) -> None:
    last = DAYS - 1
    assert shortened.read("t", interval=day(last)).equals(rows(last))
    version = shortened.replace("t", rows(last), day(last))
    assert version == shortened.version("t")
    assert shortened.replace("t", rows(last, 2.0), day(last)) == version + 1
    shortened.replace("t", rows(DAYS), day(DAYS))
    assert shortened.intervals("t") == {day(n).start for n in range(DAYS + 1)}


def test_bounds_of_a_time_that_is_missing_somewhere_or_finer_than_the_log_lose_no_row(tmp_path: Path) -> None:
    lake = DeltaLake(str(tmp_path))
    late = day(0).start + timedelta(microseconds=1_999)
    lake.replace("t", pa.table({"moment": pa.array([late, None], pa.timestamp("us", "UTC")), "value": [1.0, 2.0]}), day(0))
    lake.replace("t", pa.table({"moment": pa.array([late], pa.timestamp("us", "UTC")), "value": [4.0]}), day(1))
    lake.replace("t", pa.table({"value": [8.0]}), day(2))
    asked = "SELECT sum(value) AS total FROM t WHERE {}"
    assert lake.query(asked.format("moment IS NULL"), {"t": None})["total"].to_pylist() == [10.0]
    assert lake.query(asked.format("moment = $at"), {"t": None}, {"at": late})["total"].to_pylist() == [5.0]


@pytest.mark.parametrize("written", ["t", "_intervals"])
def test_a_log_has_a_checkpoint_every_ten_commits(tmp_path: Path, written: str) -> None:
    lake = DeltaLake(str(tmp_path))
    for n in range(DAYS):
        lake.replace("t", rows(n).slice(0, 0 if written == "_intervals" else 2), day(n))
    log = tmp_path / written / "_delta_log"
    latest = max(int(file.stem) for file in log.glob("*.json") if file.stem.isdigit())
    assert latest >= 20
    assert latest - json.loads((log / "_last_checkpoint").read_text())["version"] < 10


def test_intervals_without_rows_are_told_by_the_log_alone(tmp_path: Path) -> None:
    lake = DeltaLake(str(tmp_path))
    for n in range(5):
        lake.replace("t", rows(n).slice(0, 0), day(n))
    for file in tmp_path.glob("_intervals/**/*.parquet"):
        if "_delta_log" not in file.parts:
            file.unlink()
    assert lake.intervals("t") == {day(n).start for n in range(5)}
