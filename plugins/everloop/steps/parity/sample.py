"""Which served rows are replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xxhash

if TYPE_CHECKING:
    import pyarrow as pa


def sample(rows: pa.Table, size: int) -> pa.Table:
    """At most `size` rows, those whose hash of request and key is lowest, in the order of `rows`.

    The same ones whatever else is in the table and however often it is asked, and no share of the day is left out.
    """
    if rows.num_rows <= size:
        return rows
    texts = zip(rows["request_id"].to_pylist(), rows["key"].to_pylist(), strict=True)
    hashes = np.array([xxhash.xxh3_64_intdigest(f"{request}\0{key}".encode()) for request, key in texts], dtype=np.uint64)
    return rows.take(np.sort(np.argsort(hashes, kind="stable")[:size]))
