"""Memory of ingesting one interval far larger than memory should have to be: a file of 10 GB against one of a fifth of it.

`python -m benchmarks.ingest_memory 2` takes files of 2 GB, `python -m benchmarks.ingest_memory 10 csv` one kind of file alone.
Each kind has a result of its own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks.process import measure
from benchmarks.record import Record
from everloop.adapters.checks import ExpectationSuites
from everloop.adapters.lake import DeltaLake
from everloop.adapters.sources import Sources
from everloop.interval import Interval
from everloop.steps import ingest
from everloop.use_case import DroppedFiles, Examples, SourceTable, UseCase

GB = 10.0
NEEDED = 4
"""Free disk in files' sizes: the file, what is staged of it, and the table."""
ROW_BYTES = {"csv": 67.9, "parquet": 21.0}
LIMIT = 6 * 3600.0
"""Seconds; 10 GB of Parquet, 476 million rows, take more than one hour of a busy machine."""
CHUNK = 500_000
EVERY_REPEATED, EVERY_TOO_HIGH, EVERY_UNREADABLE = 10_007, 1_009, 5_003
"""One row in so many repeats the first key, has a level that the suite puts aside, or (CSV) a level that is no number."""
START = datetime(2013, 1, 1, tzinfo=UTC)
DAY = Interval(START, START + timedelta(days=1))
PLACES = ("EWR", "JFK", "LGA")
SUITE = {
    "name": "readings",
    "expectations": [
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}, "meta": {"severity": "block"}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "level"}, "meta": {"severity": "quarantine"}},
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "level", "min_value": 0, "max_value": 100},
            "meta": {"severity": "quarantine"},
        },
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "place", "value_set": list(PLACES)},
            "meta": {"severity": "quarantine"},
        },
        {
            "type": "expect_column_mean_to_be_between",
            "kwargs": {"column": "level", "min_value": 40, "max_value": 60},
            "meta": {"severity": "warn"},
        },
    ],
}


def main() -> None:
    """CSV and Parquet, a fifth and the whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gb", nargs="?", type=float, default=GB, help="size of a file in GB")
    parser.add_argument("kinds", nargs="*", default=list(ROW_BYTES), choices=list(ROW_BYTES), help="kinds of file")
    asked = parser.parse_args()
    for kind in asked.kinds:
        with tempfile.TemporaryDirectory(prefix="everloop-ingest-") as folder:
            size = min(asked.gb, shutil.disk_usage(folder).free / 1e9 / NEEDED)
            record = Record(f"ingest_memory_{kind}", packages=("polars", "deltalake", "pyarrow"))
            record.fact("GB of a file", round(size, 2))
            if size < asked.gb:
                record.fact("GB asked for, for which the disk has no room", asked.gb)
            compare(record, Path(folder), kind, int(size * 1e9 / ROW_BYTES[kind]))
            record.finish()


def compare(record: Record, folder: Path, kind: str, rows: int) -> None:
    """Ingest a fifth of the rows and all of them, each in a process of its own; hold the accounts to the known ones."""
    for side, asked in ((f"{kind}, a fifth", rows // 5), (f"{kind}, whole", rows)):
        known = generate(folder, kind, asked)
        found = measure("benchmarks.ingest_memory", "run", seconds=LIMIT, folder=str(folder), kind=kind)
        steps = found.value["seconds"]
        record.sample(side, peak_gb=found.peak_mb / 1024, rows_per_second=asked / sum(steps.values()), **steps)
        record.fact(f"rows, {side}", asked)
        record.fact(f"GB, {side}", round(file(folder, kind).stat().st_size / 1e9, 2))
        record.fact(f"published and quarantined as known, {side}", found.value["accounts"] == [asked - known, known])
        shutil.rmtree(folder)
        folder.mkdir()
    peaks = [record.median(f"{kind}, {part}", "peak_gb") for part in ("whole", "a fifth")]
    record.ratio(f"{kind}: peak GB of the whole", peaks[0], 2.0, "lower")
    record.ratio(f"{kind}: peak of the whole / of a fifth", peaks[0] / peaks[1], 1.5, "lower")


def generate(folder: Path, kind: str, rows: int) -> int:
    """A file of readings of one day in `folder`, and the suite; how many rows are to be put aside."""
    (folder / "suites").mkdir()
    (folder / "suites" / "readings.json").write_text(json.dumps(SUITE))
    place, known = file(folder, kind), 0
    place.parent.mkdir()
    writers = {"csv": pa.csv.CSVWriter, "parquet": pq.ParquetWriter}
    with writers[kind](place, _chunk(0, 1, kind)[0].schema) as writer:
        for first in range(0, rows, CHUNK):
            chunk, bad = _chunk(first, min(CHUNK, rows - first), kind)
            writer.write_table(chunk)
            known += bad
    return known


def file(folder: Path, kind: str) -> Path:
    return folder / "landing" / f"2013-01-01.{kind}"


def run(folder: str, kind: str) -> dict[str, Any]:
    """Seconds of each step of ingestion, and the rows published and quarantined."""
    place = Path(folder)
    source, lake = Sources({}, str(place / "landing")), DeltaLake(str(place / "lake"))
    checks, case, seconds = ExpectationSuites(place / "suites", place / "docs"), use_case(kind), {}
    report: dict[str, Any] = {}
    for name, step in {
        "extract": lambda: ingest.extract(source, lake, case, [DAY], "run"),
        "validate": lambda: ingest.validate(checks, lake, case, [DAY], "run"),
        "publish": lambda: ingest.publish(lake, case, [DAY], "run"),
    }.items():
        began = time.perf_counter()
        report = step()
        seconds[name] = time.perf_counter() - began
    accounts = [report[what]["readings"][DAY.label] for what in ("published", "quarantined")]
    return {"seconds": seconds, "accounts": accounts}


def use_case(kind: str) -> UseCase:
    readings = SourceTable(
        name="readings",
        source=DroppedFiles(pattern=f"%Y-%m-%d.{kind}"),
        columns={"id": "int", "place": "string", "level": "float", "open": "bool", "at": "timestamp"},
        key=("id",),
        event_time="at",
        suite="readings",
    )
    return UseCase(
        name="tides",
        description="",
        start=START,
        interval=timedelta(days=1),
        sources=(readings,),
        examples=Examples(sql="", tables=("readings",), suite="readings"),
        feature_service="tides",
        entity=("id",),
    )


def _chunk(first: int, rows: int, kind: str) -> tuple[pa.Table, int]:
    """Rows from number `first` on, as text for a CSV file, and how many of them are bad."""
    chance, number = np.random.default_rng(first), np.arange(first, first + rows)
    repeated, high, unreadable = ((number % every) == every - 1 for every in (EVERY_REPEATED, EVERY_TOO_HIGH, EVERY_UNREADABLE))
    level = np.where(high, 500.0, chance.random(rows) * 100)
    moment = (int(START.timestamp() * 1e6) + chance.integers(0, 86_400_000_000, rows)).astype("datetime64[us]")
    levels = pa.array(level)
    bad = repeated | high
    if kind == "csv":
        levels = pa.array(np.where(unreadable, "n/a", levels.cast(pa.string()).to_numpy(zero_copy_only=False)), pa.string())
        bad = bad | unreadable
    columns = {
        "id": np.where(repeated, 0, number),
        "place": pa.array(PLACES).take(pa.array(chance.integers(0, 3, rows))),
        "level": levels,
        "open": chance.random(rows) < 0.5,
        "at": pa.array(moment, pa.timestamp("us", "UTC")),
    }
    return pa.table(columns), int(bad.sum())


if __name__ == "__main__":
    main()
