"""What people have repaired: kept in `<table>_repairs`, and put in place of the originals whenever an interval is read again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from everloop.interval import Interval
from everloop.ports import Batches, Lake
from everloop.steps.dividing import PROBLEM
from everloop.steps.evolution import filled
from everloop.use_case import SourceTable, UseCase

ORIGINAL = "_original"


def repairs_of(table: str) -> str:
    """The lake table that keeps the repairs of `table`: identity of the original, the columns of the contract."""
    return f"{table}_repairs"


def identities(rows: pa.Table | pa.RecordBatch, table: SourceTable) -> list[str]:
    """The identity of every row as it was extracted: a digest of its values and of its `_problem`. Equal rows share it."""
    columns = [rows[name].to_pylist() for name in (*table.columns, PROBLEM)]
    return [_digest(values) for values in zip(*columns, strict=True)]


def apply(lake: Lake, use_case: UseCase, intervals: Sequence[Interval], run: str) -> dict[str, dict[str, int]]:
    """Replace the originals by the repaired rows among those that `run` has staged; `{table: {interval: n}}`.

    An original that the source does not give any more is not missed: the source was corrected itself.
    """
    applied: dict[str, dict[str, int]] = {}
    for table in use_case.sources:
        if lake.version(repairs_of(table.name)) is None:
            continue
        for interval in intervals:
            repairs = lake.read(repairs_of(table.name), interval=interval)
            if repairs.num_rows:
                name = raw_name(run, interval, table.name)
                applied.setdefault(table.name, {})[interval.label] = stage_repaired(
                    lake, name, lake.staged_batches(name), repairs, table
                )
    return applied


def stage_repaired(lake: Lake, name: str, raw: Batches, repairs: pa.Table, table: SourceTable) -> int:
    """Stage `raw` with the originals replaced, and how many were. Of equal originals each repair takes one.

    Repaired rows come last: of rows with one key the first stays, so a repair never pushes out a row that was fine.
    """
    waiting: dict[str, list[int]] = {}
    for position, original in enumerate(repairs[ORIGINAL].to_pylist()):
        waiting.setdefault(base(original), []).append(position)
    taken: list[int] = []
    with lake.staging(name) as put:
        for batch in raw:
            put(_untouched(batch, waiting, taken, table))
        for batch in _fine(repairs.take(pa.array(taken, pa.int64())), raw.schema, table):
            put(batch)
    return len(taken)


def raw_name(run: str, interval: Interval, table: str) -> str:
    """Where ingestion stages the rows of a table as they were extracted."""
    return f"{run}/{interval.label}/{table}/raw"


def merged(
    standing: Iterable[Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]], table: SourceTable, schema: pa.Schema
) -> pa.Table:
    """`standing` repairs and `new` ones (by identity of what they replace).

    A new one that replaces the outcome of a standing one takes its place, under the identity of the true original.
    """
    kept = {row[ORIGINAL]: row for row in standing}
    for original, row in new.items():
        earlier = next((key for key, made in kept.items() if identity(made, table) == base(original)), original)
        kept[earlier] = {**row, ORIGINAL: earlier}
    fields = pa.schema([(ORIGINAL, pa.string()), *((name, schema.field(name).type) for name in table.columns)])
    return pa.Table.from_pylist([kept[original] for original in sorted(kept)], schema=fields)


def numbered(digests: Iterable[str]) -> list[str]:
    """Digests, those of further equal rows with their number: `ab12`, `ab12.1`, `ab12.2`."""
    seen: dict[str, int] = {}
    found = []
    for digest in digests:
        n = seen[digest] = seen.get(digest, -1) + 1
        found.append(f"{digest}.{n}" if n else digest)
    return found


def base(identity: str) -> str:
    """The digest of an identity, its number left out."""
    return identity.partition(".")[0]


def identity(row: Mapping[str, Any], table: SourceTable) -> str:
    """The identity of one row whose values all parse."""
    return _digest([*(row[name] for name in table.columns), None])


def _digest(values: Iterable[Any]) -> str:
    text = "\x1f".join(value.isoformat() if isinstance(value, datetime) else repr(value) for value in values)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _untouched(batch: pa.RecordBatch, waiting: dict[str, list[int]], taken: list[int], table: SourceTable) -> pa.RecordBatch:
    """The rows that no repair waits for; the positions of the repairs that the others take go to `taken`."""
    keep = []
    for digest in identities(batch, table):
        waits = waiting.get(digest)
        keep.append(not waits)
        if waits:
            taken.append(waits.pop(0))
    return batch.filter(pa.array(keep, pa.bool_()))


def _fine(repaired: pa.Table, schema: pa.Schema, table: SourceTable) -> Iterator[pa.RecordBatch]:
    """Repaired rows as they are staged, without a problem."""
    rows = filled(repaired, table).append_column(PROBLEM, pa.nulls(repaired.num_rows, pa.string()))
    yield from rows.select(schema.names).cast(schema.remove_metadata()).to_batches()
