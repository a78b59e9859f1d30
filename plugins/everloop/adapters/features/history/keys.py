"""The keys of a join as numbers: entity rows ask for some, stored rows are recognised by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Ints = npt.NDArray[np.int64]

_MANY = 2**36
"""Numbers below this leave room for 2^26 moments beside them in 64 bits, see `latest.latest_known`."""


@dataclass(frozen=True)
class _Column:
    """One key column: its distinct values, and the combinations with the columns before it where these are too many to count."""

    values: pa.Array
    combinations: Ints | None = None


class AskedKeys:
    """The distinct keys of entity rows, numbered. Equal keys have equal numbers; a null in a key makes it -1.

    `columns`: an array for each join key, as long as the entity rows, `rows`. Without columns every row has the same key.
    """

    def __init__(self, columns: Sequence[pa.ChunkedArray], rows: int) -> None:
        self._columns: list[_Column] = []
        self.count = 1
        self.numbers = _same(rows)
        for column in columns:
            encoded = column.combine_chunks().dictionary_encode()
            self._add(encoded.dictionary, _filled(encoded.indices))

    @property
    def values(self) -> list[pa.Array]:
        """The distinct values of each key column, without null."""
        return [column.values for column in self._columns]

    def of(self, columns: Sequence[pa.Array], rows: int) -> Ints:
        """The numbers of `rows` stored keys: -1 for one with a null or with a value that nobody asks for.

        A combination that nobody asks for may have a number that no entity row has.
        """
        import pyarrow.compute as pc

        numbers = _same(rows)
        for known, given in zip(self._columns, columns, strict=True):
            codes = _filled(pc.index_in(given.cast(known.values.type), value_set=known.values, skip_nulls=True))
            numbers = _combined(numbers, codes, len(known.values))
            if known.combinations is not None:
                numbers = _places(known.combinations, numbers)
        return numbers

    def _add(self, values: pa.Array, codes: Ints) -> None:
        import numpy as np

        self.numbers = _combined(self.numbers, codes, len(values))
        self.count *= max(1, len(values))
        combinations = None
        if self.count > _MANY:
            combinations = np.unique(self.numbers[self.numbers >= 0])
            self.numbers, self.count = _places(combinations, self.numbers), combinations.size
        self._columns.append(_Column(values, combinations))


def _same(rows: int) -> Ints:
    import numpy as np

    return np.zeros(rows, np.int64)


def _filled(codes: pa.Array) -> Ints:
    import numpy as np

    filled: Ints = codes.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return filled


def _combined(numbers: Ints, codes: Ints, size: int) -> Ints:
    import numpy as np

    return np.where((numbers < 0) | (codes < 0), -1, numbers * size + codes)


def _places(combinations: Ints, numbers: Ints) -> Ints:
    """The position of each number among the sorted `combinations`, -1 for one that is not there."""
    import numpy as np

    if not combinations.size:
        return np.full(numbers.size, -1)
    at = np.minimum(np.searchsorted(combinations, numbers), combinations.size - 1)
    return np.where(combinations[at] == numbers, at, -1)
