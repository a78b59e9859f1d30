"""Moments that stay numbers until somebody looks at one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from everloop.kinds import TIMESTAMP

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moments(Sequence[datetime]):
    """Microseconds since 1970 in UTC as a sequence of datetimes: a thousand of those take longer to make than to score."""

    def __init__(self, microseconds: npt.NDArray[np.int64]) -> None:
        self.microseconds = microseconds

    @classmethod
    def all_at(cls, moment: datetime, rows: int) -> Moments:
        """The same one `rows` times."""
        return cls(np.full(rows, microseconds(moment), dtype=np.int64))

    @classmethod
    def of(cls, moments: Sequence[datetime]) -> Moments:
        """Those of any sequence."""
        if isinstance(moments, Moments):
            return moments
        return cls(np.array([microseconds(moment) for moment in moments], dtype=np.int64))

    def arrow(self) -> pa.Array:
        """The same for Arrow."""
        return pa.array(self.microseconds).view(TIMESTAMP)

    def take(self, positions: Sequence[int]) -> Moments:
        """Those at `positions`."""
        return Moments(self.microseconds[np.asarray(positions, dtype=np.int64)])

    def __len__(self) -> int:
        return len(self.microseconds)

    def __iter__(self) -> Iterator[datetime]:
        return (EPOCH + timedelta(microseconds=one) for one in self.microseconds.tolist())

    @overload
    def __getitem__(self, position: int) -> datetime: ...

    @overload
    def __getitem__(self, position: slice) -> Moments: ...

    def __getitem__(self, position: int | slice) -> datetime | Moments:
        if isinstance(position, slice):
            return Moments(self.microseconds[position])
        return EPOCH + timedelta(microseconds=int(self.microseconds[position]))


def plain(column: pa.Array) -> list[Any]:
    """The values of a typed column as Python's. Moments without Arrow's help: it would look UTC up among a machine's zones."""
    if pa.types.is_timestamp(column.type):
        counts = column.view(pa.int64()).to_pylist()
        return [None if count is None else EPOCH + timedelta(microseconds=count) for count in counts]
    found: list[Any] = column.to_pylist()
    return found


def microseconds(moment: datetime) -> int:
    """Since 1970, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)
