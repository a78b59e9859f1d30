"""Memory of a point-in-time join over a feature history: 50 million rows against 10 million of the same table."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from benchmarks.process import measure
from benchmarks.record import Record
from everloop.adapters.features.history.asof import ROWS_AT_ONCE, AsofView, join
from everloop.adapters.lake import DeltaLake

KEYS, VERSIONS, ASKED = 1_000_000, 50, 2_000_000
TARGET_GB = 8
START = datetime(2013, 1, 1, tzinfo=UTC)
WEEK = timedelta(weeks=1)
TIME = pa.timestamp("us", "UTC")
VIEW = AsofView(
    table="history",
    join_keys={"key": "key"},
    features={"a": "a", "b": "b", "version": "version"},
    types={"key": pa.int64(), "a": pa.float64(), "b": pa.float64(), "version": pa.int64()},
    event_time="event_timestamp",
    created="created",
    ttl=None,
)


def main() -> None:
    """A million keys with a version a week for fifty weeks, two million moments."""
    record = Record("history_memory", packages=("polars", "deltalake", "pyarrow"))
    with tempfile.TemporaryDirectory(prefix="everloop-history-") as folder:
        generate(Path(folder), KEYS, VERSIONS)
        compare(record, folder, KEYS, VERSIONS, ASKED, ROWS_AT_ONCE)
    record.finish()


def compare(record: Record, folder: str, keys: int, versions: int, asked: int, rows_at_once: int) -> None:
    """Join over a fifth of the weeks and over all of them, each in a process of its own; hold the answers to the known ones."""
    record.fact("entity rows", asked)
    record.fact("feature rows at a time", rows_at_once)
    for side, weeks in (("a_fifth", versions // 5), ("whole", versions)):
        arguments = {"folder": folder, "keys": keys, "versions": weeks, "asked": asked, "rows_at_once": rows_at_once}
        found = measure("benchmarks.history_memory", "run", **arguments)
        record.sample(side, seconds=found.value["seconds"], peak_gb=found.peak_mb / 1024)
        record.fact(f"history rows, {side}", keys * weeks)
        record.fact(f"wrong answers, {side}", found.value["wrong"])
    record.ratio("peak GB of the whole", record.median("whole", "peak_gb"), TARGET_GB, "lower")
    peaks = record.median("whole", "peak_gb") / record.median("a_fifth", "peak_gb")
    record.ratio("peak of the whole / of a fifth", peaks, 2, "lower")


def generate(folder: Path, keys: int, versions: int) -> None:
    """A Delta table with a partition a week; each key has one row in each, of which every tenth became known a week late."""
    for version in range(versions):
        chance = np.random.default_rng(version)
        key = chance.permutation(keys)
        event = np.full(keys, _microseconds(START + version * WEEK))
        late = np.where((key + version) % 10 == 0, _microseconds(START + (version + 1) * WEEK), event)
        rows = pa.table(
            {
                "key": pa.array(key),
                "a": chance.random(keys),
                "b": chance.random(keys),
                "version": pa.array(np.full(keys, version)),
                "event_timestamp": pa.array(event, pa.int64()).cast(TIME),
                "created": pa.array(late, pa.int64()).cast(TIME),
                "_interval": pa.array(event, pa.int64()).cast(TIME),
            }
        )
        write_deltalake(str(folder / "history"), rows, mode="append", partition_by=["_interval"])


def run(folder: str, keys: int, versions: int, asked: int, rows_at_once: int) -> dict[str, float]:
    """Seconds of the join with the table's first `versions` weeks, and how many answers are not the latest version known."""
    chance = np.random.default_rng(7)
    key, week = chance.integers(0, keys, asked), chance.integers(0, versions, asked)
    moment = _microseconds(START) + (week * WEEK.total_seconds() * 1e6).astype(np.int64) + 1
    entities = pa.table({"key": pa.array(key), "moment": pa.array(moment).cast(TIME)})
    began = time.perf_counter()
    found = join(DeltaLake(folder), VIEW, versions - 1, entities, "moment", rows_at_once=rows_at_once)
    seconds = time.perf_counter() - began
    known = week - ((key + week) % 10 == 0)  # a late version is known when the next one is, which then counts
    answers = found["version"].to_pandas().fillna(-1).to_numpy()
    return {"seconds": seconds, "wrong": int((answers != known).sum())}


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


if __name__ == "__main__":
    main()
