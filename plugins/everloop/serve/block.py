"""Rows by column: the form in which requests are joined, given their features, scored and logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

FEW = 64
"""Up to this many rows are answered together with those of other requests, in lists: to go by column would not pay."""


@dataclass(frozen=True, slots=True)
class Block:
    """Typed and checked rows of one release: keys, the moments asked for, the request's fields, flags of checks that warn.

    A field's column is a list of plain values with `None` for missing, or, of more than `FEW` rows, an Arrow array.
    """

    keys: list[str]
    as_of: Sequence[datetime]
    request: Mapping[str, Any]
    flags: list[tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, positions: Sequence[int]) -> Block:
        """The rows at `positions`, in that order."""
        return Block(
            [self.keys[i] for i in positions],
            take(self.as_of, positions),
            {name: take(column, positions) for name, column in self.request.items()},
            [self.flags[i] for i in positions],
        )


def joined(blocks: Sequence[Block]) -> Block:
    """The rows of all blocks, which have the same fields, one block after the other, in lists."""
    if len(blocks) == 1:
        return blocks[0]
    return Block(
        [key for block in blocks for key in block.keys],
        [moment for block in blocks for moment in block.as_of],
        {name: [value for block in blocks for value in plain(block.request[name])] for name in blocks[0].request},
        [flags for block in blocks for flags in block.flags],
    )


def take(column: Any, positions: Sequence[int]) -> Any:
    """The values at `positions`."""
    return [column[i] for i in positions] if type(column) is list else column.take(np.asarray(positions))


def plain(column: Any) -> list[Any]:
    """The values as plain Python."""
    if type(column) is list:
        return column
    from everloop.serve.columns import moments

    return moments.plain(column)


def floats(column: Any) -> npt.NDArray[np.float64]:
    """The values as float64, missing ones as NaN."""
    if type(column) is list:
        return np.array(column, dtype=np.float64)  # None becomes NaN
    numbers = column if column.type == "double" else column.cast("float64")
    values: npt.NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False)
    return values


def rows_of(columns: Mapping[str, Any], rows: int) -> list[dict[str, Any]]:
    """The same by row."""
    if rows == 1 or not columns:
        return [
            {name: column[row] if type(column) is list else plain(column)[row] for name, column in columns.items()}
            for row in range(rows)
        ]
    names = tuple(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*(plain(column) for column in columns.values()), strict=True)]
