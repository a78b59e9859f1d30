"""What a label may be, and when it may have become known: yes or no until other task types are learnt, and after the question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.errors import DataError
from everloop.use_case import UseCase

if TYPE_CHECKING:
    import pyarrow as pa

    Moments = np.ndarray[tuple[int, ...], np.dtype[np.datetime64]]

SHOWN = 5
"""As many odd values are named."""


def may_be(kind: pa.DataType) -> bool:
    """Whether values of a type can be labels: booleans, and numbers, which may all be 0 or 1."""
    from pyarrow import types

    return bool(types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def booleans(labels: pa.ChunkedArray, use_case: UseCase) -> pa.ChunkedArray:
    """Labels (n,) as booleans: those that are, and numbers that are all 0 or 1. None is null.

    Anything else is a `DataError`: a third class, an amount or a text would be learnt as something that nobody asked for.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = labels.type
    if pa.types.is_boolean(kind):
        return labels
    odd = [value for value in labels.unique().to_pylist() if not may_be(kind) or value not in (0, 1)]
    if odd:
        more = f" and {len(odd) - SHOWN} more" if len(odd) > SHOWN else ""
        raise DataError(
            f'Labels of use case "{use_case.name}" ({kind}) have the values {", ".join(map(repr, odd[:SHOWN]))}{more}: '
            "a label is true or false (1 or 0); have Examples.sql compare, for instance `amount > 100 AS label`"
        )
    return pc.equal(labels.cast("float64"), 1.0)


def refuse_known_before(keys: pa.ChunkedArray, asked: Moments, known: Moments, use_case: UseCase) -> None:
    """`DataError` where a label was known (n,) at the moment at which its prediction is asked for (n,), or earlier.

    At the same moment counts as known, as it does for features: what was known then needs no prediction, and any feature of
    that moment may hold it.
    """
    early = np.flatnonzero(known <= asked)
    if not early.size:
        return
    first = early[0]
    raise DataError(
        f'Labels of use case "{use_case.name}" were known before they were asked for, in {early.size} of {len(known)} rows: '
        f'key "{keys[first].as_py()}" was asked for at {asked[first]}Z and its label known at {known[first]}Z; label_time '
        "must be later than event_timestamp: have Examples.sql say when the label could first be read, or leave such rows out"
    )
