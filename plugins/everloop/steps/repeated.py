"""Which rows repeat a key, wherever in an interval its first row stands, without all keys in memory."""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from everloop.fingerprint import fingerprints

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Ints = npt.NDArray[np.int64]

ROWS_AT_ONCE = 1_000_000
"""Keys that are compared at a time, as a rule: 24 bytes each, and as much again three times to sort them."""
SHARES = 256
"""At most: each may hold a file open, and a process 1,024 by default. Beyond 256 million rows a share has more rows instead."""
IN_MEMORY = 64 * 1024 * 1024
"""Bytes of all shares together beyond which they wait on disk."""
_KEY = np.dtype([("a", np.uint64), ("b", np.uint64), ("row", np.int64)])


class RepeatedKeys:
    """Takes the keys of up to `rows` rows, in their order; a context, since shares of them may wait in temporary files.

    Equal keys fall into the same share by their hash, so each share is judged by itself.
    """

    def __init__(self, rows: int, rows_at_once: int = ROWS_AT_ONCE) -> None:
        self._open = ExitStack()
        number = min(math.ceil(rows / rows_at_once) or 1, SHARES)
        shares = (tempfile.SpooledTemporaryFile(IN_MEMORY // number) for _ in range(number))  # noqa: SIM115, the stack closes them
        self._shares: list[IO[bytes]] = [self._open.enter_context(share) for share in shares]

    def add(self, keys: pa.RecordBatch, rows: Ints) -> None:
        """Keys (their columns; null is a value like others) and the numbers of their rows."""
        found = np.empty(keys.num_rows, _KEY)
        hashes = fingerprints(keys, keys.schema.names)
        found["a"], found["b"] = hashes["a"].to_numpy(), hashes["b"].to_numpy()
        found["row"] = rows
        share = found["a"] % len(self._shares)
        found = found[np.argsort(share, kind="stable")]
        ends = np.cumsum(np.bincount(share.astype(np.int64), minlength=len(self._shares)))
        for file, part in zip(self._shares, np.split(found, ends[:-1]), strict=True):
            file.write(part.tobytes())

    def found(self) -> Ints:
        """The rows, ascending, before which another row has the same key."""
        return np.sort(np.concatenate([_repeated(_read(share)) for share in self._shares]))

    def __enter__(self) -> RepeatedKeys:
        return self

    def __exit__(self, *told: object) -> None:
        self._open.close()


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
