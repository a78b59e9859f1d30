"""What a run scores, by which release and in which parts: decided once, so that every part agrees."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pyarrow as pa

from everloop.errors import ConfigurationError, DataError
from everloop.interval import Interval
from everloop.ports import Lake, Ledger
from everloop.steps.score.dividing import divided, without_twins
from everloop.use_case import UseCase

TABLE = "predictions"
OUTCOME = ("label", "label_time")
"""Columns of an example that nobody knows when the prediction is asked for."""
MAXIMUM_PARTS = 1_000
"""Airflow expands a task to 1,024 at most, unless `core.max_map_length` says otherwise."""

_WRITTEN_HERE = (TABLE, "prediction_log")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What all parts of a run share. `release`: `None` when nobody serves, and there is nothing to score.

    `versions`: of every table that is read. `sql`, `part_rows`: the use case's, as they were. `rows`, `last`: how many examples
    each part has, and the key of the last one.
    """

    interval: Interval
    release: str | None
    versions: Mapping[str, int]
    sql: str
    part_rows: int
    rows: tuple[int, ...] = ()
    last: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The name under which scores of this plan are staged: those of another champion, version or boundary have another."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]


def plan(lake: Lake, ledger: Ledger, use_case: UseCase, interval: Interval, run: str) -> dict[str, Any]:
    """Pin the champion and the tables' versions, and stage the interval's examples in parts of `BatchPolicy.part_rows`, by key.

    Returns `{"place", "release", "rows", "parts": [{"place", "number"}]}`; `place` is what the other steps are given. Whatever
    an earlier attempt of `run` staged is forgotten. Without a champion, or examples, there are no parts. `DataError` when the
    interval is not in the lake yet, or a key is null or there twice.
    """
    place = f"score/{run}"
    lake.unstage(place)
    release = ledger.head(use_case.name)[1].champion
    made = Plan(
        interval=interval,
        release=release,
        versions={} if release is None else _versions(lake),
        sql=use_case.examples.sql,
        part_rows=use_case.batch.part_rows,
    )
    place = f"{place}/{made.id}"
    if release is not None:
        rows, last = _staged(lake, use_case, made, place)
        made = replace(made, rows=rows, last=last)
    lake.stage(f"{place}/plan", pa.table({"plan": [msgspec.json.encode(made).decode()]}))
    parts = [{"place": place, "number": number} for number in range(len(made.rows))]
    return {"place": place, "release": release, "rows": sum(made.rows), "parts": parts}


def planned(lake: Lake, place: str) -> Plan:
    """What `plan` decided; `DataError` when nothing of it is left."""
    return msgspec.json.decode(lake.staged(f"{place}/plan")["plan"][0].as_py(), type=Plan)


def examples_of(place: str, number: int) -> str:
    """Where the examples of a part are staged."""
    return f"{place}/examples/{number}"


def _versions(lake: Lake) -> dict[str, int]:
    """The version of every table that examples and features may be read from."""
    names = [name for name in lake.tables() if name not in _WRITTEN_HERE and not name.endswith("_quarantine")]
    return {name: version for name in names if (version := lake.version(name)) is not None}


def _staged(lake: Lake, use_case: UseCase, made: Plan, place: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Stage the examples in parts; rows and last key of each."""
    rows: list[int] = []
    last: list[str] = []
    for part in divided(_examples(lake, use_case, made), made.part_rows):
        if len(rows) == MAXIMUM_PARTS:
            raise ConfigurationError(
                f"Interval {made.interval} has more than {MAXIMUM_PARTS} parts of {made.part_rows} examples: "
                "raise BatchPolicy.part_rows"
            )
        with lake.staging(examples_of(place, len(rows))) as put:
            counted = 0
            for batch in part:
                put(batch)
                counted += batch.num_rows
                key = str(batch["key"][-1])
        rows.append(counted)
        last.append(key)
    return tuple(rows), tuple(last)


def _examples(lake: Lake, use_case: UseCase, made: Plan) -> Iterator[pa.RecordBatch]:
    """The interval's examples without their outcome, sorted by key, at the versions of the plan."""
    wanted, interval = use_case.examples, made.interval
    if lacking := [name for name in wanted.tables if interval.start not in lake.intervals(name)]:
        raise DataError(f"Interval {interval} is not in {', '.join(lacking)}: run {use_case.name}_ingest for it first")
    bounds = {"start": interval.start, "end": interval.end}
    pinned = {name: made.versions[name] for name in wanted.tables}
    for batch in without_twins(lake.query_batches(made.sql, pinned, bounds, order="key"), use_case.name):
        yield batch.drop_columns([name for name in OUTCOME if name in batch.schema.names])
