"""What each input says of the label by itself: one that says nearly all of it was more often known too late than found.

A leak is information on the label that will not be there when a prediction is asked for (Kaufman, Rosset, Perlich & Stitelman
2012, Leakage in data mining: formulation, detection, and avoidance, ACM TKDD 6(4), sec. 5, who look for it input by input).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from everloop.decide.statistics.compare import auc
from everloop.decide.statistics.estimate import Estimate

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Codes = npt.NDArray[np.intp]

ROWS = 50_000
"""No more rows than this are taught by, and none more judged, evenly over time: an AUC is right to about 0.005 then."""

BINS = 50
"""A number with more values than this is cut into as many bins of equal counts."""

RARE = 1_000_000
"""A column that separates the labels is no accident where there are this many ways to deal them out to the rows."""


def inputs_alone(
    rows: pa.Table,
    labels: Flags,
    learnt: Flags,
    held_out: Flags,
    columns: Sequence[str],
    categories: Collection[str],
    confidence: float = 0.95,
) -> dict[str, Estimate]:
    """Of each column, the AUC on rows held out of what it alone says of the label, highest first.

    `labels`, `learnt`, `held_out`: by row (n,). A column says two things, learnt from the rows `learnt`: the label's rate in
    each of its bins or categories, a missing value being one of them, and for a number its order, up or down. The better one
    counts. Empty where fewer than two rows of each label are held out.
    """
    taught, judged = _spread(learnt), _spread(held_out)
    both, known = np.concatenate([taught, judged]), labels[taught]
    found = {}
    for name in columns:
        values = rows[name].take(both)
        said = _category(values, known) if name in categories else _number(values, known)
        told = [estimate for scores in said if (estimate := auc(labels[judged], scores, confidence)) is not None]
        if told:
            found[name] = max(told, key=lambda estimate: estimate.value)
    return dict(sorted(found.items(), key=lambda item: -item[1].value))


def perfect(alone: Mapping[str, Estimate], rate: float) -> list[str]:
    """The columns that separate the labels without an error, of which a share of `rate` is positive, and not by accident."""
    return [
        name
        for name, estimate in alone.items()
        if estimate.value == 1.0 and math.comb(estimate.rows, round(rate * estimate.rows)) >= RARE
    ]


def _spread(mask: Flags) -> Codes:
    """The positions of at most `ROWS` rows of a mask, evenly spread."""
    found = np.flatnonzero(mask)
    return found[:: max(1, -(-found.size // ROWS))]


def _category(values: pa.ChunkedArray, known: Flags) -> Iterator[Floats]:
    codes = values.cast("string").combine_chunks().dictionary_encode().indices
    yield _rates(codes.fill_null(len(values)).to_numpy().astype(np.intp), known)


def _number(values: pa.ChunkedArray, known: Flags) -> Iterator[Floats]:
    numbers = values.cast("float64").to_numpy()
    taught, judged = numbers[: known.size], numbers[known.size :]
    yield _rates(_bins(numbers, taught), known)
    ranked = auc(known, _missing_lowest(taught))
    if ranked is not None:
        yield _missing_lowest(judged) * (1 if ranked.value >= 0.5 else -1)


def _bins(numbers: Floats, taught: Floats) -> Codes:
    """The bin of each number, by what was taught; missing ones have a bin of their own."""
    edges = np.unique(taught[~np.isnan(taught)])
    if edges.size > BINS:
        edges = np.unique(np.quantile(edges, np.linspace(0, 1, BINS + 1)[1:-1], method="inverted_cdf"))
    return np.where(np.isnan(numbers), edges.size + 1, np.searchsorted(edges, numbers))


def _missing_lowest(numbers: Floats) -> Floats:
    return np.where(np.isnan(numbers), -np.inf, numbers)


def _rates(codes: Codes, known: Flags) -> Floats:
    """Of each row after those with `known` labels, the rate of its code among these, drawn to the whole's by one row."""
    taught, judged, whole = codes[: known.size], codes[known.size :], float(known.mean())
    size = int(codes.max()) + 1
    counts, positives = np.bincount(taught, minlength=size), np.bincount(taught[known], minlength=size)
    rates: Floats = ((positives + whole) / (counts + 1))[judged]
    return rates
