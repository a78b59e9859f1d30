"""A Parquet file, batch by batch: values of the contract's types are taken as they are, others are parsed from their text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import IO

import pyarrow as pa

from everloop import parquet
from everloop.adapters.sources.contract import Problems, check_columns, conform, decoded
from everloop.errors import SourceError
from everloop.kinds import ARROW_TYPES
from everloop.use_case import SourceTable

_TEXTS = (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view())


def tables(file: IO[bytes], table: SourceTable, name: str) -> Iterator[pa.Table]:
    """The file's rows as the contract has them; `SourceError` when it is damaged, `ContractError` when columns are lost."""
    try:
        opened = parquet.opened(file)
        extra = check_columns(opened.schema_arrow.names, table, f"File {name}")
        for batch in opened.iter_batches(batch_size=parquet.BATCH_ROWS, columns=list(table.columns)):
            problems: Problems = defaultdict(list)
            yield conform(_plain(pa.Table.from_batches([batch]), table, problems), table, problems, extra)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise SourceError(
            f"File {name} cannot be read to its end as Parquet: {error}. It broke off or is damaged. Nothing of it was kept; "
            "drop it again whole"
        ) from error


def _plain(rows: pa.Table, table: SourceTable, problems: Problems) -> pa.Table:
    """Each column in its contract's type where every value keeps its meaning, else as text: both say what does not fit."""
    return pa.table({name: _either(rows[name], name, ARROW_TYPES[kind], problems) for name, kind in table.columns.items()})


def _either(values: pa.ChunkedArray, name: str, kind: pa.DataType, problems: Problems) -> pa.ChunkedArray:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if values.type in _TEXTS:  # Parquet does not see to it that its text is UTF-8
        return decoded(values.cast(pa.binary()), name, problems)
    if _alike(values.type, kind):
        try:
            return values.cast(kind)
        except pa.ArrowInvalid:  # an integer beyond 64 bits, nanoseconds
            pass
    return values.cast(pa.string())


def _alike(given: pa.DataType, kind: pa.DataType) -> bool:
    """Whether a cast from `given` to `kind` changes no value's meaning. A time without zone counts as UTC, as it does in text."""
    if kind == pa.float64():
        return bool(pa.types.is_floating(given) or pa.types.is_integer(given))
    if kind == pa.int64():
        return bool(pa.types.is_integer(given))
    return bool(pa.types.is_timestamp(given)) if pa.types.is_timestamp(kind) else given == kind
