"""A sorted stream of examples, held to one row a key and cut into parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from everloop.errors import DataError


def divided(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[Iterator[pa.RecordBatch]]:
    """Parts of `rows` rows each, the last one fewer, each a stream of batches that must be used up before the next is asked for.

    No rows: no parts. Where the batches were cut makes no difference.
    """
    left = (batch for batch in batches if batch.num_rows)
    for first in left:
        kept = [first]
        while kept:
            part = _Part(chain(kept, left), rows)
            yield iter(part)
            kept = part.beyond


class _Part:
    """The first `rows` rows of a stream; `beyond` is what was read of it and belongs to the next part."""

    def __init__(self, batches: Iterator[pa.RecordBatch], rows: int) -> None:
        self._batches, self._rows = batches, rows
        self.beyond: list[pa.RecordBatch] = []

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        missing = self._rows
        while missing and (batch := next(self._batches, None)) is not None:
            if batch.num_rows > missing:
                self.beyond = [batch.slice(missing)]
            yield batch.slice(0, missing)
            missing -= min(missing, batch.num_rows)


def without_twins(batches: Iterable[pa.RecordBatch], use_case: str) -> Iterator[pa.RecordBatch]:
    """`batches`, which are sorted by `key`; `DataError` at a key that is null or the same as the one before."""
    before: pa.Scalar | None = None
    for batch in batches:
        keys = batch["key"]
        if keys.null_count:
            raise DataError(
                f'Examples of use case "{use_case}" have no key in {keys.null_count} rows: have Examples.sql leave such rows out'
            )
        if batch.num_rows:
            twice = int(pc.sum(pc.equal(keys.slice(1), keys.slice(0, batch.num_rows - 1))).as_py() or 0) + (keys[0] == before)
            if twice:
                raise DataError(
                    f'Examples of use case "{use_case}" have {twice} rows or more whose key occurs before: have Examples.sql '
                    "give one row per prediction"
                )
            before = keys[-1]
        yield batch
