"""Views worked side by side: the work is done by Polars, NumPy and the stores, outside Python's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

View = TypeVar("View")
Result = TypeVar("Result")

VIEWS_AT_ONCE = 4
"""More would hold more feature rows than memory bounds allow for: `asof.ROWS_AT_ONCE` each."""


def side_by_side(work: Callable[[View], Result], views: Sequence[View]) -> Iterator[Result]:
    """The result of `work` for each view, in order; its first error goes up."""
    if not views:
        return
    with ThreadPoolExecutor(min(len(views), os.cpu_count() or 1, VIEWS_AT_ONCE)) as pool:
        yield from pool.map(work, views)
