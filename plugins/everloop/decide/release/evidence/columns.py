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
    return np.array([error is not None for error in rows["error"]], dtype=bool)


def codes(values: Sequence[Any] | npt.NDArray[Any]) -> Codes:
    """A number for each distinct value, in order of appearance."""
    seen: dict[Any, int] = {}
    return np.fromiter((seen.setdefault(value, len(seen)) for value in values), dtype=np.intp, count=len(values))
