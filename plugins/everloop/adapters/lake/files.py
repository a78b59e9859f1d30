"""Which Parquet files hold a version of a table, for engines that read them without knowing Delta's log."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable

from everloop.errors import DataError

BEYOND = frozenset({"deletionVectors", "columnMapping"})
"""Table features by which the files alone no longer say what the rows are."""


@dataclass(frozen=True, kw_only=True)
class TableFiles:
    """`uris`: absolute, none for an empty table; `schema`: the table's, `_interval` (which the files do not hold) included."""

    uris: tuple[str, ...]
    schema: pa.Schema


def table_files(delta: DeltaTable, table: str) -> TableFiles:
    """The files of the version that `delta` is open at; `DataError` when reading them alone would give wrong rows."""
    refuse_beyond(delta, table)
    return TableFiles(uris=tuple(delta.file_uris()), schema=pa.schema(delta.schema().to_arrow()))


def refuse_beyond(delta: DeltaTable, table: str) -> None:
    """`DataError` when the table uses a feature by which its files alone do not hold its rows."""
    protocol = delta.protocol()
    if beyond := BEYOND & {*(protocol.reader_features or ()), *(protocol.writer_features or ())}:
        raise DataError(
            f'Table "{table}" uses {", ".join(sorted(beyond))}, so its files alone do not hold its rows: everloop never sets '
            "that; rewrite the table without it"
        )
