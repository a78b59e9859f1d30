"""A view's rule by column is that of rows: the same values, flags and counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.adapters.features.stores.judged import Stored
from everloop.kinds import ARROW_TYPES
from everloop.release import ViewPlan
from everloop.serve.block import plain
from everloop.serve.columns.moments import Moments
from everloop.serve.features.cache import ViewCache
from everloop.serve.features.look import Look
from everloop.serve.features.vectors import Vectors, joined
from serve.world import AT

KINDS = {"city": "string", "count": "int", "mean": "float", "open": "bool", "since": "timestamp"}
HOUR = timedelta(hours=1)


def view(ttl: timedelta | None) -> ViewPlan:
    seconds = None if ttl is None else ttl.total_seconds()
    return ViewPlan(name="place", table="online.place", join_keys={"place": "string"}, features=KINDS, ttl_seconds=seconds)


MOMENTS = st.sampled_from([AT + n * HOUR + timedelta(microseconds=m) for n in (-1, 0, 1) for m in (-1, 0, 1)])
VALUES = st.tuples(
    st.none() | st.text("ab\n", max_size=2),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False),
    st.none() | st.booleans(),
    st.none() | MOMENTS,
)
STORED = st.none() | st.tuples(MOMENTS, MOMENTS, VALUES)


def judged(cache: ViewCache, look: Look, as_of: Sequence[datetime]) -> Any:
    columns: dict[str, Any] = {}
    flags: list[tuple[str, ...]] = [("before",)] * len(as_of)
    counts = cache.judge(look, as_of, columns, flags)
    kinds = [type(column) is not list and column.type for column in columns.values()]
    assert kinds == ([False] * len(KINDS) if look.places is None else [ARROW_TYPES[kind] for kind in KINDS.values()])
    return counts, {name: plain(column) for name, column in columns.items()}, flags


@given(st.sampled_from([None, HOUR, timedelta(0)]), st.lists(STORED, min_size=1, max_size=5), st.data())
@settings(deadline=None, max_examples=200)
def test_both_forms_judge_alike(ttl: timedelta | None, known: list[Stored | None], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(st.integers(0, len(known) - 1), MOMENTS), min_size=1, max_size=12))
    places, as_of = [place for place, _ in rows], [moment for _, moment in rows]
    cache = ViewCache(view(ttl))
    by_row = judged(cache, Look([], [known[place] for place in places], [], [], []), as_of)
    assert judged(cache, Look([], known, [], [], [], np.array(places)), Moments.of(as_of)) == by_row


def test_many_rows_that_are_known_are_found_at_once_and_else_one_by_one() -> None:
    cache = ViewCache(view(None))
    keys = [(f"p{n % 70}",) for n in range(100)]
    cache.keep(keys[:70], [None, *[(AT, AT, ("x", 1, 1.0, True, AT))] * 69], until=10.0, epoch=0)
    assert cache.look(keys, 10.0, 10.0).stored == [cache.look([key], 10.0, 10.0).stored[0] for key in keys]
    assert cache.look(keys, 10.1, 10.1).lacking == list(range(100))
    assert cache.look(keys, 9.0, 10.1).due == list(range(100))
    other = cache.look([*keys, ("new",), (None,)], 10.0, 10.0)
    assert (other.lacking, other.unknown, other.stored[-2:]) == ([100], [100], [None, None])


def test_vectors_of_many_rows_are_joined_with_those_of_few() -> None:
    few, many = Vectors({"a": [1.5, None]}, [(), ("f",)]), Vectors({"a": pa.array([2.5, None])}, [(), ()])
    both = joined([few, many.take([1, 0])])
    assert (both.columns, both.flags) == ({"a": [1.5, None, None, 2.5]}, [(), ("f",), (), ()])
