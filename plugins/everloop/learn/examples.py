"""The labelled rows of a fit in one Parquet file, read a batch at a time so that they need not fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from everloop import parquet
from everloop.learn.encode import Encoder, known_values

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

LABEL, PART = "label", "part"

ROWS_AT_ONCE = 65_536
"""Rows of a batch: a few MB at 30 columns."""

Labelled = tuple["npt.NDArray[np.float32]", "npt.NDArray[np.bool_]"]
"""An encoded matrix (rows, columns) and its labels (rows)."""


@dataclass(frozen=True)
class Examples:
    """The file at `path`: the model's columns, `label` and `part`, in time order. No batch has more than `rows_at_once` rows."""

    path: Path
    rows_at_once: int = ROWS_AT_ONCE

    def write(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Replace the file. The same rows give the same bytes, however they come in batches."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        reader = iter(batches)
        first = next(reader)
        with pq.ParquetWriter(self.path, first.schema) as writer:
            for table in _regular(first, reader, self.rows_at_once):
                writer.write_table(pa.table(table), row_group_size=self.rows_at_once)

    def count(self, *parts: str) -> int:
        """The rows of some parts."""
        return sum(rows.num_rows for part in parts for rows in self.batches(part, ()))

    def batches(self, part: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The rows of one part, in order; only these columns are read."""
        import pyarrow as pa
        import pyarrow.compute as pc

        with parquet.opened(self.path) as file:
            for batch in file.iter_batches(self.rows_at_once, columns=[*columns, PART]):
                rows = pa.Table.from_batches([batch])
                found = rows.filter(pc.equal(rows[PART], part))
                if found.num_rows:
                    yield found

    def encoded(self, part: str, encoder: Encoder) -> Iterator[Labelled]:
        """The same, encoded, with their labels."""
        for rows in self.batches(part, (*encoder.columns, LABEL)):
            yield encoder.table(rows), rows[LABEL].to_numpy().astype(bool)

    def known_values(self, part: str, column: str) -> tuple[str, ...]:
        """The distinct values of a categorical column within one part, sorted."""
        return known_values(rows[column] for rows in self.batches(part, (column,)))


def _regular(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """The same rows in tables of exactly `size`, but for the last."""
    import pyarrow as pa

    waiting = pa.Table.from_batches([first])
    for batch in rest:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        while waiting.num_rows >= size:
            yield waiting.slice(0, size)
            waiting = waiting.slice(size)
    while waiting.num_rows:
        yield waiting.slice(0, size)
        waiting = waiting.slice(size)
