"""Rows that people keep through Feast: saved datasets, and feature rows that are written by hand."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.protos.feast.core.SavedDataset_pb2 import SavedDatasetStorage as SavedDatasetStorageProto
from feast.saved_dataset import SavedDatasetStorage

from everloop.adapters.features.source import DeltaSource
from everloop.adapters.lake.rows import normal
from everloop.errors import DataError
from everloop.interval import Interval
from everloop.ports import Lake

BY_HAND = datetime(1700, 1, 1, tzinfo=UTC)
"""Rows written by hand lie in intervals of the years from here to 1970, which no use case has: computing never replaces them."""
_PLACES = timedelta(days=98_000) // timedelta(microseconds=1)
_MOMENT = timedelta(microseconds=1)


class SavedDatasetDelta(SavedDatasetStorage):  # type: ignore[misc]  # Feast has no types
    """A lake table that holds a saved dataset."""

    _proto_attr_name = "custom_storage"

    def __init__(self, table: str) -> None:
        self.table = table

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SavedDatasetDelta) and self.table == other.table

    def __hash__(self) -> int:
        return hash(self.table)

    @staticmethod
    def from_proto(storage_proto: SavedDatasetStorageProto) -> SavedDatasetDelta:
        """The inverse of `to_proto`."""
        return SavedDatasetDelta(json.loads(storage_proto.custom_storage.configuration)["table"])

    def to_proto(self) -> SavedDatasetStorageProto:
        """As the registry keeps it."""
        options = DataSourceProto.CustomSourceOptions(configuration=json.dumps({"table": self.table}).encode())
        return self._custom_storage_proto(options)

    def to_data_source(self) -> DeltaSource:
        """The table as a source that nothing computes."""
        return DeltaSource(table=self.table, sql="", tables=[])


def save(lake: Lake, storage: SavedDatasetDelta, rows: pa.Table, *, allow_overwrite: bool) -> None:
    """Put a dataset into its table in one commit. Feast's own error when the table is there and may not be overwritten."""
    if not allow_overwrite and lake.version(storage.table) is not None:
        raise SavedDatasetLocationAlreadyExists(storage.table)
    lake.replace(storage.table, rows, Interval(BY_HAND, BY_HAND + _MOMENT))


def add(lake: Lake, table: str, rows: pa.Table) -> None:
    """Add feature rows to those that are computed, in one commit. The same rows once more change nothing.

    Raises `DataError` unless they have the table's columns.
    """
    rows = normal(rows)
    known = lake.scan(table).collect_schema().names() if lake.version(table) is not None else rows.column_names
    if wrong := {name for name in known if not name.startswith("_")} ^ set(rows.column_names):
        raise DataError(
            f'Rows for the feature table "{table}" have columns {rows.column_names}, which differ from its own by '
            f"{sorted(wrong)}: give it all of its columns and no other"
        )
    if rows.num_rows:
        start = BY_HAND + _MOMENT + _place(rows) * _MOMENT
        lake.replace(table, rows, Interval(start, start + _MOMENT))


def _place(rows: pa.Table) -> int:
    """A number by content. Some 10^15 places: ten thousand batches share one with a chance of one in a hundred million."""
    frame = pl.DataFrame(pl.from_arrow(rows))
    text = frame.select(sorted(frame.columns)).sort(pl.all()).write_csv(quote_style="non_numeric")
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % _PLACES
