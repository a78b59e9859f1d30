"""Which rows repeat a key, wherever in an interval its first row stands, without all keys in memory."""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Ints = npt.NDArray[np.int64]

ROWS_AT_ONCE = 4_000_000
"""Keys that are compared at a time: 24 bytes each, and as much again three times to sort them."""
IN_MEMORY = 1024 * 1024
"""Bytes of a share of the keys beyond which it waits on disk."""
SEEDS = (0x9E3779B9, 0x85EBCA6B)
"""Two 64-bit hashes stand for a key: among a billion keys two different ones are taken for one with chance 1e-21."""
_KEY = np.dtype([("a", np.uint64), ("b", np.uint64), ("row", np.int64)])


class RepeatedKeys:
    """Takes the keys of up to `rows` rows, in their order; a context, since shares of them may wait in temporary files.

    Equal keys fall into the same share by their hash, so each share is judged by itself.
    """

    def __init__(self, rows: int, rows_at_once: int = ROWS_AT_ONCE) -> None:
        self._open = ExitStack()
        number = math.ceil(rows / rows_at_once) or 1
        shares = (tempfile.SpooledTemporaryFile(IN_MEMORY) for _ in range(number))  # noqa: SIM115, the stack closes them
        self._shares: list[IO[bytes]] = [self._open.enter_context(share) for share in shares]

    def add(self, keys: pa.RecordBatch, rows: Ints) -> None:
        """Keys (their columns; null is a value like others) and the numbers of their rows."""
        found = np.empty(keys.num_rows, _KEY)
        found["a"], found["b"] = _hashes(keys)
        found["row"] = rows
        share = found["a"] % len(self._shares)
        for n, file in enumerate(self._shares):
            file.write(found[share == n].tobytes())

    def found(self) -> Ints:
        """The rows, ascending, before which another row has the same key."""
        return np.sort(np.concatenate([_repeated(_read(share)) for share in self._shares]))

    def __enter__(self) -> RepeatedKeys:
        return self

    def __exit__(self, *told: object) -> None:
        self._open.close()


def _hashes(keys: pa.RecordBatch) -> tuple[Any, Any]:
    import polars as pl

    frame = pl.DataFrame(pl.from_arrow(keys))
    a, b = (frame.select(pl.struct(frame.columns).hash(seed)).to_series().to_numpy() for seed in SEEDS)
    return a, b


def _read(share: IO[bytes]) -> npt.NDArray[Any]:
    share.seek(0)
    return np.frombuffer(share.read(), _KEY)


def _repeated(keys: npt.NDArray[Any]) -> Ints:
    order = np.lexsort((keys["row"], keys["b"], keys["a"]))
    a, b = keys["a"][order], keys["b"][order]
    again = np.zeros(len(keys), bool)
    again[1:] = (a[1:] == a[:-1]) & (b[1:] == b[:-1])
    rows: Ints = keys["row"][order[again]]
    return rows
