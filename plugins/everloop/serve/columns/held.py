"""The checks of a request by column: the predicates that rows are held to, asked of as few values as prove it of all.

Polars, which judges batches by the same suite, takes 1.7 ms for 27 rules of a thousand rows (2.1, on a busy machine of two
cores), and keeps threads of its own: more than the whole rest of a request's path.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from everloop.serve.columns.moments import plain
from everloop.serve.reading.checks import FieldCheck, Proof


def holds(check: FieldCheck, column: pa.Array, ends: tuple[float, float] | None) -> bool:
    """Whether every row of a typed column, without NaN, keeps the rule. `ends`: its least and greatest, where they are known."""
    if column.null_count and not check.holds(None):
        return False
    if ends is not None and check.proof is Proof.ENDS:
        return check.holds(ends[0]) and check.holds(ends[1])
    return column.null_count == len(column) or all(map(check.holds, _deciding(check, column)))


def broken(check: FieldCheck, column: pa.Array) -> list[int]:
    """The rows that break it."""
    coded = column.dictionary_encode()
    wrong = [place for place, value in enumerate(plain(coded.dictionary)) if not check.holds(value)]
    rows = np.isin(coded.indices.fill_null(-1).to_numpy(), wrong)
    if column.null_count and not check.holds(None):
        rows |= column.is_null().to_numpy(zero_copy_only=False)
    found: list[int] = np.flatnonzero(rows).tolist()
    return found


def _deciding(check: FieldCheck, column: pa.Array) -> Iterator[Any]:
    """Values of a column with at least one: when these keep the rule, all do."""
    if check.proof is Proof.ANY_ONE:
        return iter((True,))
    if check.proof is Proof.ENDS and pa.types.is_float64(column.type):
        values: npt.NDArray[np.float64] = column.to_numpy(zero_copy_only=False)
        return iter((float(np.fmin.reduce(values)), float(np.fmax.reduce(values))))
    if check.proof is Proof.ENDS and not pa.types.is_boolean(column.type):
        ends = pc.min_max(column.view(pa.int64()) if pa.types.is_timestamp(column.type) else column)
        found = pa.array([ends["min"].as_py(), ends["max"].as_py()])
        return iter(plain(found.view(column.type)))
    return iter(plain(column.unique().drop_null()))
