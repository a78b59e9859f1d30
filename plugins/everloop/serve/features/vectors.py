"""What the stored features of some rows are, and what they lack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from everloop.serve.block import chained, take


@dataclass(frozen=True, slots=True)
class Vectors:
    """By `<view>__<feature>` a value a row, in lists or, of rows that came by column, in Arrow arrays; by row the flags of the
    views that gave nothing fresh.
    """

    columns: dict[str, Any]
    flags: list[tuple[str, ...]]

    def take(self, positions: Sequence[int]) -> Vectors:
        """Those of the rows at `positions`."""
        columns = {name: take(column, positions) for name, column in self.columns.items()}
        return Vectors(columns, [self.flags[i] for i in positions])


def joined(vectors: Sequence[Vectors]) -> Vectors:
    """Those of all rows, one after the other, in lists; they have the same columns."""
    if len(vectors) == 1:
        return vectors[0]
    return Vectors(chained([one.columns for one in vectors]), [flags for one in vectors for flags in one.flags])
