"""All parts of an interval into table `predictions`, by one commit, once each example is known to have its score."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from everloop.errors import DataError
from everloop.ports import Batches, Lake
from everloop.steps.score.parts import COLUMNS, scores_of
from everloop.steps.score.planning import TABLE, Plan, examples_of, planned

SCHEMA = pa.schema(zip(COLUMNS, (pa.string(), pa.float64(), pa.bool_(), pa.string(), pa.timestamp("us", "UTC")), strict=True))


def publish(lake: Lake, place: str) -> dict[str, Any]:
    """Replace the interval of the plan at `place` in table `predictions`: key, score, decision, release, as_of.

    Returns `{"rows", "positive", "release", "version"}`; without a release nothing is written. `DataError` when a part is
    not there, or its scores are not one for each of its examples. Twice is once: a receipt stays when what was staged goes.
    Memory is bounded by a part.
    """
    made = planned(lake, place)
    if made.release is None:
        return {"rows": 0, "positive": 0, "release": None, "version": None}
    if (told := _receipt(lake, place)) is None:
        positive = sum(_checked(lake, made, place, number) for number in range(len(made.rows)))
        version = lake.replace(TABLE, _rows(lake, made, place), made.interval)
        told = {"rows": sum(made.rows), "positive": positive, "release": made.release, "version": version}
        lake.stage(f"{place}/published", pa.table({"told": [json.dumps(told)]}))
    for number in range(len(made.rows)):
        lake.unstage(examples_of(place, number))
        lake.unstage(scores_of(made, place, number))
    return told


def _checked(lake: Lake, made: Plan, place: str, number: int) -> int:
    """How many of a part's decisions are positive, once its keys were found to be those of its examples, in that order."""
    given = lake.staged_batches(examples_of(place, number), ["key"]).to_table()
    scored = lake.staged_batches(scores_of(made, place, number), ["key", "decision"]).to_table()
    if given.num_rows != made.rows[number] or not given["key"].equals(scored["key"]):
        raise DataError(
            f"Part {number} of interval {made.interval}: {made.rows[number]} examples were planned, {given.num_rows} are staged "
            f'and {scored.num_rows} scored, or their keys differ: rows would be lost. Clear the run from "plan" on'
        )
    return int(pc.sum(scored["decision"]).as_py() or 0)


def _rows(lake: Lake, made: Plan, place: str) -> Batches:
    parts = [lake.staged_batches(scores_of(made, place, number)) for number in range(len(made.rows))]
    if not parts:
        return Batches.of(SCHEMA.empty_table())

    def read() -> Iterator[pa.RecordBatch]:
        return (batch for part in parts for batch in part)

    return Batches(parts[0].schema, sum(part.num_rows for part in parts), read)


def _receipt(lake: Lake, place: str) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] = json.loads(lake.staged(f"{place}/published")["told"][0].as_py())
    except DataError:
        return None
    return told
