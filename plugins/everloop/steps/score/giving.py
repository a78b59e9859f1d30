"""An interval's predictions given back to the business: into its tables, and as files."""

from __future__ import annotations

from typing import Any

from everloop.errors import ConfigurationError
from everloop.interval import Interval
from everloop.ports import Destination, Lake, Outbox
from everloop.steps.score.planning import TABLE
from everloop.use_case import UseCase


def write_back(lake: Lake, destination: Destination, use_case: UseCase, interval: Interval) -> dict[str, Any]:
    """Upsert the interval's predictions by key into every table of `UseCase.write_back`; twice is once.

    Returns `{"rows", "tables"}`; an interval without predictions writes nothing.
    """
    wanted = use_case.tables_back
    if not wanted:
        raise _nowhere(use_case, "WriteBack, with a connection and a table")
    rows = lake.batches(TABLE, interval)
    if rows.num_rows:
        for one in wanted:
            destination.upsert(one.connection, one.table, rows, "key")
    return {"rows": rows.num_rows, "tables": [one.table for one in wanted]}


def write_files(lake: Lake, outbox: Outbox, use_case: UseCase, interval: Interval) -> dict[str, Any]:
    """Lay the interval's predictions down as every one of the `Files` of `UseCase.write_back`; twice is once.

    The interval alone decides a file's name. One that was scored and has no rows has a file without rows; one that was never
    scored has none. Returns `{"rows", "files"}`.
    """
    wanted = use_case.files_back
    if not wanted:
        raise _nowhere(use_case, "Files")
    if interval.start not in lake.intervals(TABLE):
        return {"rows": 0, "files": []}
    rows = lake.batches(TABLE, interval)
    name = f"{use_case.name}/interval={interval.label}/predictions"
    return {"rows": rows.num_rows, "files": [outbox.write(one, name, rows) for one in wanted]}


def _nowhere(use_case: UseCase, kind: str) -> ConfigurationError:
    return ConfigurationError(f'Use case "{use_case.name}" has no write_back of this kind: name a {kind}, or leave the task out')
