"""Tables of requests: typed and checked rows of one release, by column.

What is right is read at once. Where anything may be wrong, the rows go to the reader of JSON, whose word counts: so both forms
accept, flag and refuse the same rows in the same words. Few rows go there at once, to be answered together with others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from everloop.serve.block import FEW, Block
from everloop.serve.columns.held import broken, holds
from everloop.serve.columns.moments import Moments
from everloop.serve.columns.stream import unfolded_bytes
from everloop.serve.columns.typed import ends_of, plain_values, readable, typed
from everloop.serve.problems import Problem, Refused
from everloop.serve.reading.checks import FieldCheck
from everloop.serve.reading.rows import AS_OF, KEY, RowReader


class ColumnReader:
    """Reads tables for one release, as its `rows` reads JSON."""

    def __init__(self, fields: Mapping[str, str], checks: Sequence[FieldCheck], rows: RowReader) -> None:
        self._kinds = {KEY: "string", AS_OF: "timestamp", **fields}
        self._fields, self._checks, self._rows = tuple(fields), tuple(checks), rows

    def block(self, table: pa.Table, now: datetime, maximum_bytes: int) -> Block:
        """The rows of a table. Raises `Refused`: of columns first, else with every problem of every row."""
        columns = self._columns(table, maximum_bytes)
        if table.num_rows > FEW and (found := self._at_once(columns, table.num_rows, now)) is not None:
            return found
        names, values = list(columns), [plain_values(column) for column in columns.values()]
        return self._rows.rows([dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)], "rows[{}].", now)

    def _columns(self, table: pa.Table, maximum_bytes: int) -> dict[str, pa.Array]:
        """By name, each in one piece."""
        problems = [problem for field in table.schema if (problem := self._unknown(field)) is not None]
        names = table.column_names
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            problems += [Problem(name, "twice", "must be one column", "send it once") for name in twice]
        if problems:
            raise Refused(422, problems)
        columns = {name: _whole(column) for name, column in zip(names, table.itercolumns(), strict=True)}
        if (size := sum(map(unfolded_bytes, columns.values()))) > maximum_bytes:
            rule = f"must not unfold to more than {maximum_bytes} bytes"
            raise Refused(413, [Problem("body", size, rule, "send several smaller requests")])
        return columns

    def _unknown(self, field: pa.Field) -> Problem | None:
        if field.name not in self._kinds:
            rule = "is not a field of this request"
            return Problem(field.name, str(field.type), rule, f"send only {', '.join(sorted(self._kinds))}")
        if readable(field.type):
            return None
        rule = f"must be a column of {self._kinds[field.name]}"
        return Problem(field.name, str(field.type), rule, "cast it to a plain type")

    def _at_once(self, columns: Mapping[str, pa.Array], rows: int, now: datetime) -> Block | None:
        """The rows when every value is as it should be and no check refuses any."""
        ends = ends_of({name: column for name, column in columns.items() if self._kinds[name] == "float"})
        found = {}
        for name, kind in self._kinds.items():
            given = columns[name] if name in columns else pa.nulls(rows)
            column = given if name in ends else typed(given, kind)
            if column is None:
                return None
            found[name] = column
        keys, as_of = found.pop(KEY), found.pop(AS_OF)
        if keys.null_count or pc.any(pc.equal(keys, "")).as_py():
            return None
        flags = self._flags(found, rows, ends)
        return None if flags is None else Block(keys.to_pylist(), _moments(as_of, now), found, flags)

    def _flags(
        self, columns: Mapping[str, pa.Array], rows: int, ends: Mapping[str, tuple[float, float]]
    ) -> list[tuple[str, ...]] | None:
        """By row the checks that only warn; `None` when one refuses."""
        flags: list[tuple[str, ...]] = [()] * rows
        for check in self._checks:
            if holds(check, columns[check.field], ends.get(check.field)):
                continue
            if check.refuses:
                return None
            for row in broken(check, columns[check.field]):
                flags[row] += (check.flag,)
        return flags


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _moments(column: pa.Array, now: datetime) -> Moments:
    if column.null_count == len(column):
        return Moments.all_at(now, len(column))
    if column.null_count:
        column = column.fill_null(pa.scalar(now, column.type))
    return Moments(column.view(pa.int64()).to_numpy())
