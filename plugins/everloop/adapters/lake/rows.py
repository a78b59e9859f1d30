"""The types that rows have in the lake, and when two sets of rows are the same."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from everloop.errors import DataError
from everloop.fingerprint import fingerprints

TIMESTAMP = pa.timestamp("us", "UTC")


def normal(rows: pa.Table) -> pa.Table:
    """`rows` in the lake's types: microsecond UTC timestamps (naive ones count as UTC), plain strings, lists, no dictionaries."""
    fields = [pa.field(field.name, _normal_type(field.type)) for field in rows.schema]
    # Not safe=True: Arrow then refuses nanoseconds that microseconds cannot hold.
    return rows.replace_schema_metadata(None).cast(pa.schema(fields), safe=False)


def _normal_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return TIMESTAMP
    if pa.types.is_dictionary(kind):
        return _normal_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_normal_type(kind.value_type))
    return kind


def fitted(rows: pa.Table, table: str, stored: pa.Schema) -> pa.Table:
    """`rows` with every column in the type that `table` already has for it; `DataError` when a value does not fit."""
    columns = []
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        wanted = stored.field(name).type if name in stored.names else column.type
        if pa.types.is_null(wanted):
            raise DataError(
                f'Column "{name}" for table "{table}" holds only nulls and has no type: cast it to the type it should have'
            )
        try:
            columns.append(column if column.type == wanted else column.cast(wanted))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f'Column "{name}" is {column.type}, table "{table}" has it as {wanted}, and the values do not fit: {error}. '
                "Keep the type, or write the changed column under a new name"
            ) from error
    return pa.table(columns, names=rows.column_names)


def same(left: pa.Table, right: pa.Table) -> bool:
    """Whether two tables hold the same rows, in whatever order of rows or columns. Nulls equal nulls, NaN equals NaN."""
    if left.num_rows != right.num_rows or set(left.column_names) != set(right.column_names):
        return False
    import polars as pl

    a = pl.DataFrame(pl.from_arrow(left))
    b = pl.DataFrame(pl.from_arrow(right.select(left.column_names)))
    if a.schema != b.schema:
        return False
    return a.equals(b) or a.sort(a.columns).equals(b.sort(b.columns))


def digest(batches: Iterable[pa.RecordBatch], columns: list[str]) -> tuple[int, ...]:
    """The sum of the rows' fingerprints, 128 bits: sets of rows share it that are the same by `same`, whatever their order."""
    total = [0, 0]
    for batch in batches:
        told = fingerprints(batch, columns).sum().row(0)
        total = [(before + more) % 2**64 for before, more in zip(total, told, strict=True)]
    return tuple(total)
