"""Batch scores of an interval: made by the release that serves, kept in the lake, written back to the business."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from everloop.errors import ConfigurationError, DataError
from everloop.interval import Interval
from everloop.ports import Destination, Features, Lake, Ledger, Registry
from everloop.release import Bundle
from everloop.use_case import UseCase

TABLE = "predictions"
OUTCOME = ("label", "label_time")
"""Columns of an example that nobody knows when the prediction is asked for."""

ScoreRows = Callable[[Bundle, pa.Table], pa.Table]


def predict(
    lake: Lake,
    features: Features,
    registry: Registry,
    ledger: Ledger,
    use_case: UseCase,
    interval: Interval,
    score_rows: ScoreRows,
) -> dict[str, Any]:
    """Score the examples of `interval` by the champion, with the features as they were known when each was asked for.

    Replaces the interval in table `predictions`: key, score, decision, release, as_of. `score_rows` is `learn.scoring.score`.
    Returns `{"rows", "positive", "release", "version"}`; without a champion nothing is written and `release` is null.
    """
    champion = ledger.head(use_case.name)[1].champion
    if champion is None:
        return {"rows": 0, "positive": 0, "release": None, "version": None}
    examples = _examples(lake, use_case, interval)
    scored = score_rows(registry.get(champion), features.history(examples.drop_columns(["key"])))
    rows = pa.table(
        {
            "key": examples["key"],
            "score": scored["score"].cast(pa.float64()),
            "decision": scored["decision"],
            "release": pa.repeat(pa.scalar(champion, pa.string()), examples.num_rows),
            "as_of": examples["event_timestamp"],
        }
    ).sort_by("key")
    version = lake.replace(TABLE, rows, interval)
    positive = sum(rows["decision"].to_pylist())
    return {"rows": rows.num_rows, "positive": positive, "release": champion, "version": version}


def write_back(lake: Lake, destination: Destination, use_case: UseCase, interval: Interval) -> dict[str, Any]:
    """Upsert the interval's predictions by key where the business reads them. Returns `{"rows", "table"}`; twice is once."""
    if use_case.write_back is None:
        raise ConfigurationError(
            f'Use case "{use_case.name}" has no write_back: name a connection and a table, or leave the task out'
        )
    rows = lake.read(TABLE, interval=interval)
    table = use_case.write_back.table
    written = destination.upsert(use_case.write_back.connection, table, rows, "key") if rows.num_rows else 0
    return {"rows": written, "table": table}


def _examples(lake: Lake, use_case: UseCase, interval: Interval) -> pa.Table:
    """The interval's examples without their outcome, sorted by key; `DataError` when the interval is not in the lake yet."""
    lacking = [name for name in use_case.examples.tables if interval.start not in lake.intervals(name)]
    if lacking:
        raise DataError(f"Interval {interval} is not in {', '.join(lacking)}: run {use_case.name}_ingest for it first")
    bounds = {"start": interval.start, "end": interval.end}
    found = lake.query(use_case.examples.sql, dict.fromkeys(use_case.examples.tables), bounds)
    return found.drop_columns([name for name in OUTCOME if name in found.column_names]).sort_by("key")
