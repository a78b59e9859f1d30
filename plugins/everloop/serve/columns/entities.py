"""The entities of many rows, each once: a thousand flights have a dozen carriers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from everloop.serve.columns.moments import plain

Places = npt.NDArray[np.int64]


def distinct(columns: Sequence[pa.Array]) -> tuple[list[tuple[Any, ...]], Places]:
    """The rows of some columns as tuples, each once, with `None` for null; and at which of them each row stands."""
    coded = [column.dictionary_encode(null_encoding="encode") for column in columns]
    codes = [one.indices.to_numpy().astype(np.int64) for one in coded]
    if len(coded) == 1:
        return [(value,) for value in plain(coded[0].dictionary)], codes[0]
    places = codes[0]
    for one in codes[1:]:
        # Made dense at each step, so that no product grows beyond the rows' number squared.
        places = np.unique(places * (int(one.max()) + 1) + one, return_inverse=True)[1]
    first = np.unique(places, return_index=True)[1]
    values = [plain(one.dictionary.take(pa.array(code[first]))) for one, code in zip(coded, codes, strict=True)]
    return list(zip(*values, strict=True)), places
