"""Files for the business: whole or not at all, in a folder and in S3, which speaks HTTP."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from everloop.adapters.outbox import FileOutbox
from everloop.adapters.sources.landing import Landing, open_landing
from everloop.errors import SourceError
from everloop.ports import Batches
from everloop.settings import PROJECT
from everloop.use_case import Files
from fakes.s3 import make_bucket, s3_server

__all__ = ["s3_server"]

NAME = "taxi/interval=2013-01-02T0000/predictions"
NOON = datetime(2013, 1, 2, 12, tzinfo=UTC)


def rows(*keys: str, score: float = 0.1 + 0.2) -> pa.Table:
    return pa.table(
        {
            "key": pa.array(keys, pa.string()),
            "score": pa.array([score] * len(keys), pa.float64()),
            "decision": pa.array([True] * len(keys), pa.bool_()),
            "as_of": pa.array([NOON] * len(keys), pa.timestamp("us", "UTC")),
        }
    )


@dataclass
class Place:
    """An outbox, and a look into it."""

    uri: str
    outbox: FileOutbox
    landing: Landing

    def content(self, name: str) -> bytes:
        with self.landing.open(name) as file:
            assert file is not None
            return file.read()

    @property
    def names(self) -> list[str]:
        return self.landing.names("")


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "folder":
        return Place(str(tmp_path), FileOutbox(str(tmp_path)), open_landing(str(tmp_path)))
    endpoint, bucket = request.getfixturevalue("s3_server"), f"outbox-{abs(hash(request.node.name))}"
    make_bucket(endpoint, bucket, monkeypatch)
    uri = f"s3://{bucket}/to/business"
    return Place(uri, FileOutbox(uri, endpoint), open_landing(uri, endpoint))


def test_a_parquet_file_holds_the_rows_as_they_are(place: Place) -> None:
    given = rows("a", 'b "quoted"', "")
    assert place.outbox.write(Files(), NAME, Batches.of(given)) == f"{place.uri}/{NAME}.parquet"
    assert pq.read_table(io.BytesIO(place.content(f"{NAME}.parquet"))).equals(given)


def test_a_csv_file_holds_them_to_the_last_bit(place: Place) -> None:
    given = rows("a", 'b "quoted"', "c")
    place.outbox.write(Files(format="csv"), NAME, Batches.of(given))
    assert pyarrow.csv.read_csv(io.BytesIO(place.content(f"{NAME}.csv")))["score"].to_pylist() == given["score"].to_pylist()


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_twice_is_once_and_newer_rows_replace(place: Place, form: str) -> None:
    files = Files(format=form)
    written = []
    for given in (rows("a"), rows("a", "b"), rows("a", "b"), rows()):
        place.outbox.write(files, NAME, Batches.of(given))
        written.append(place.content(f"{NAME}.{form}"))
    assert place.names == [f"{NAME}.{form}"]
    assert written[1] == written[2] != written[0]
    assert written[3] != written[0]


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_rows_that_break_off_leave_what_stood_there(place: Place, form: str) -> None:
    def breaking() -> Iterator[pa.RecordBatch]:
        yield from rows("x").to_batches()
        raise RuntimeError("the lake is gone")

    place.outbox.write(Files(format=form), NAME, Batches.of(rows("a")))
    before = place.content(f"{NAME}.{form}")
    with pytest.raises(RuntimeError, match="the lake is gone"):
        place.outbox.write(Files(format=form), NAME, Batches(rows().schema, 2, breaking))
    assert (place.names, place.content(f"{NAME}.{form}")) == ([f"{NAME}.{form}"], before)


def test_files_may_name_a_place_of_their_own(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    place.outbox.write(Files(place=str(other)), NAME, Batches.of(rows("a")))
    assert (other / f"{NAME}.parquet").exists()
    assert NAME not in " ".join(name for name in place.names if not name.startswith("other/"))


def test_a_bucket_that_is_not_there_is_told(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bucket(s3_server, "another", monkeypatch)
    with pytest.raises(SourceError, match="Bucket nowhere does not answer as it should"):
        FileOutbox("s3://nowhere/x", s3_server).write(Files(), NAME, Batches.of(rows("a")))


def test_a_folder_that_takes_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "taxi").write_text("a file where a folder should be")
    with pytest.raises(SourceError, match=r"taxi/interval=2013-01-02T0000/predictions\.parquet could not be written"):
        FileOutbox(str(tmp_path)).write(Files(), NAME, Batches.of(rows("a")))


KILLED = """
import os, sys
from everloop.adapters.outbox import FileOutbox
from everloop.ports import Batches
from everloop.use_case import Files
import pyarrow as pa
rows = pa.table({"key": ["x"] * 1000})

def read():
    yield from rows.to_batches()
    os.kill(os.getpid(), 9)

FileOutbox(sys.argv[1]).write(Files(), sys.argv[2], Batches(rows.schema, 2000, read))
"""


def test_a_writer_that_is_killed_leaves_no_file_under_the_name(tmp_path: Path) -> None:
    environment: dict[str, Any] = os.environ | {"PYTHONPATH": str(PROJECT / "plugins")}
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), NAME], env=environment)
    assert done.returncode == -9
    assert not (tmp_path / f"{NAME}.parquet").exists()
    assert [path.name for path in (tmp_path / NAME).parent.glob("*.parquet")] == []
