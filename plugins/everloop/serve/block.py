"""Rows by column: the form in which requests are joined, given their features, scored and logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
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
        list(chain.from_iterable([block.keys for block in blocks])),
        list(chain.from_iterable([block.as_of for block in blocks])),
        chained([block.request for block in blocks]),
        list(chain.from_iterable([block.flags for block in blocks])),
    )


def chained(given: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Columns of the same names, one after the other, in lists."""
    lists = [one if _in_lists(one) else {name: plain(column) for name, column in one.items()} for one in given]
    return {name: list(chain.from_iterable([one[name] for one in lists])) for name in lists[0]}


def _in_lists(columns: Mapping[str, Any]) -> bool:
    """Rows came in lists or by column, all of their columns alike."""
    return type(next(iter(columns.values()), [])) is list


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
