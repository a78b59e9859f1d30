"""Rows in bounded chunks, with what an earlier call has done left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def chunks(batches: Iterable[pa.Table], size: int, skip: int = 0) -> Iterator[tuple[int, pa.Table]]:
    """The rows of `batches` but for the first `skip`, at most `size` at once, each with the number of rows up to its end."""
    passed = 0
    for batch in batches:
        for start in range(max(0, skip - passed), batch.num_rows, size):
            chunk = batch.slice(start, size)
            yield passed + start + chunk.num_rows, chunk
        passed += batch.num_rows
