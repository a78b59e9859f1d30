"""A window of one column as counts over the bins of its reference: sketches that add up in any order.

The bins are those of the release's reference statistics (`learn.reference`), so a day costs a day whatever the history, and the
sketches of any windows together equal the sketch of all their rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = dict[str, Any]
"""`{"counts": [...], "missing": n}`, the bins and values being those of the reference, with `"other": n` for a category and
`"outside": n` for a number whose reference has fences: the rows beyond them, which are in a bin too."""


def count(column: Mapping[str, Any], values: Sequence[Any]) -> Counts:
    """Count `values` into the bins of the reference `column`; null and NaN are missing."""
    present = [value for value in values if value is not None and value == value]
    missing = len(values) - len(present)
    if column.get("kind") == "category":
        position = {value: i for i, value in enumerate(column["values"])}
        codes = [position[value] for value in present if value in position]
        counts = np.bincount(np.asarray(codes, dtype=int), minlength=len(position)).tolist()
        return {"counts": counts, "other": len(present) - len(codes), "missing": missing}
    # The model sees float32, and the cut points are float32 values.
    numbers = np.asarray(present, dtype=np.float32)
    found = np.bincount(bins(column["edges"], numbers), minlength=len(column["edges"]) + 1).tolist()
    beyond = {"outside": int(outside(column["fences"], numbers).sum())} if "fences" in column else {}
    return {"counts": found, "missing": missing, **beyond}


def bins(edges: Sequence[float], values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
    """The bin of each value: bin i holds `edges[i-1] < x <= edges[i]`."""
    found: npt.NDArray[np.int64] = np.searchsorted(edges, values)
    return found


def outside(fences: Sequence[float], values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.bool_]:
    """Which values lie beyond the fences; NaN does not."""
    low, high = fences
    return (values < low) | (values > high)


def merge(first: Counts, second: Counts) -> Counts:
    """The counts of both windows together."""
    merged: Counts = {"counts": [a + b for a, b in zip(first["counts"], second["counts"], strict=True)]}
    return merged | {name: first[name] + second[name] for name in ("other", "missing", "outside") if name in first}


def cells(counts: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """Bins, unknown values and missing ones: a surge of nulls is a shift too."""
    return np.array([*counts["counts"], counts.get("other", 0), counts.get("missing", 0)], dtype=float)
