"""Columns of served rows, as they come: lists or arrays, with nulls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = Mapping[str, "Sequence[Any] | npt.NDArray[Any]"]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

CHALLENGER = "challenger"
"""The arm of the release on trial, as rows name it."""

FIELD = "request."
"""What the columns of request fields begin with."""


def floats(values: Sequence[Any] | npt.NDArray[Any]) -> Floats:
    """As floats, null as NaN."""
    return np.asarray(values, dtype=np.float64)


def failed(rows: Rows) -> Mask:
    """Which rows have an error: the release that they were assigned to could not answer them."""
    return present(rows["error"])


def present(values: Sequence[Any] | npt.NDArray[Any]) -> Mask:
    """Where there is a value, be it an empty one."""
    found: Mask = np.asarray(values, dtype=object) != None  # noqa: E711 - of each element
    return found


def codes(values: Sequence[Any] | npt.NDArray[Any]) -> Codes:
    """A number for each distinct value, in order of appearance."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        _, first, place = np.unique(values, return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[place]
    seen: dict[Any, int] = {}
    return np.fromiter((seen.setdefault(value, len(seen)) for value in values), dtype=np.intp, count=len(values))
