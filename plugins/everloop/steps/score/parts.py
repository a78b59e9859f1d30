"""One part of an interval: its examples joined to their features and scored, staged apart from everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from everloop.errors import DataError
from everloop.ports import Features, Lake, Registry
from everloop.release import Bundle
from everloop.steps.score.planning import Plan, examples_of, planned

ScoreRows = Callable[[Bundle, pa.Table], pa.Table]

COLUMNS = ("key", "score", "decision", "release", "as_of")


def score(lake: Lake, features: Features, registry: Registry, place: str, number: int, score_rows: ScoreRows) -> dict[str, Any]:
    """Score a part of the plan at `place` by the plan's release, with the features as they were known when each was asked for.

    Stages `COLUMNS`, sorted by key, and touches no table. `score_rows` is `learn.scoring.score`. Returns `{"rows", "positive"}`.
    `DataError` when the examples are not those that were planned, or not every one of them got a score.
    """
    made = planned(lake, place)
    assert made.release is not None  # noqa: S101, a plan without a release has no parts
    examples = _examples(lake, made, place, number)
    joined = features.history(examples.drop_columns(["key"]), made.versions)
    scored = score_rows(registry.get(made.release), joined)
    if scored.num_rows != examples.num_rows:
        raise DataError(f"{_told(made, number)}: {examples.num_rows} examples went in and {scored.num_rows} scores came out")
    rows = pa.table(
        [
            examples["key"],
            scored["score"].cast(pa.float64()),
            scored["decision"],
            pa.repeat(pa.scalar(made.release, pa.string()), examples.num_rows),
            examples["event_timestamp"],
        ],
        names=COLUMNS,
    )
    lake.stage(scores_of(made, place, number), rows)
    return {"rows": rows.num_rows, "positive": pc.sum(rows["decision"]).as_py()}


def scores_of(made: Plan, place: str, number: int) -> str:
    """Where the scores of a part are staged."""
    return f"{place}/{made.id}/{number}"


def _examples(lake: Lake, made: Plan, place: str, number: int) -> pa.Table:
    found = lake.staged(examples_of(place, number))
    if found.num_rows != made.rows[number] or str(found["key"][-1]) != made.last[number]:
        raise DataError(f'{_told(made, number)} has other examples than were planned: clear the run from "plan" on')
    return found


def _told(made: Plan, number: int) -> str:
    return f"Part {number} of {len(made.rows)} of interval {made.interval}"
