"""Flags of many rows as one column: few distinct ones occur, so each is written once and pointed at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

KIND = pa.list_(pa.string())


def listed(flags: Sequence[tuple[str, ...]]) -> pa.Array:
    """A list of text a row."""
    if not any(flags):
        return pa.ListArray.from_arrays(np.zeros(len(flags) + 1, dtype=np.int32), pa.array([], pa.string()))
    places = {one: place for place, one in enumerate(dict.fromkeys(flags))}
    return pa.array(list(places), KIND).take(pa.array([places[one] for one in flags]))
