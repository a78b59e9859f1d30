"""Each entity of many rows once, and where the rows stand; what is known of entities told of rows again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from everloop.kinds import ARROW_TYPES
from everloop.serve.columns.entities import distinct
from everloop.serve.features.look import Look

AT = datetime(2013, 7, 1, tzinfo=UTC)
VALUES = {
    "string": st.sampled_from(["", "a", "b"]),
    "int": st.integers(-1, 1),
    "float": st.sampled_from([0.5, 1.5]),
    "bool": st.booleans(),
    "timestamp": st.sampled_from([AT, AT + timedelta(microseconds=1)]),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[tuple[Any, ...]]]:
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
    rows = st.tuples(*(st.none() | VALUES[kind] for kind in kinds))
    return kinds, draw(st.lists(rows, min_size=1, max_size=30))


@given(tables())
def test_each_row_stands_at_its_entity_and_each_entity_stands_once(table: tuple[list[str], list[tuple[Any, ...]]]) -> None:
    kinds, rows = table
    columns = [pa.array(values, ARROW_TYPES[kind]) for values, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
    entities, places = distinct(columns)
    assert [entities[place] for place in places] == rows
    assert sorted(map(repr, entities)) == sorted(map(repr, set(rows)))


def test_many_columns_of_many_values_do_not_overflow() -> None:
    column = pa.array(range(10_000))
    entities, places = distinct([column] * 6)
    assert len(entities) == 10_000
    assert entities[places[17]] == (17,) * 6


def test_what_is_known_of_an_entity_is_known_of_all_its_rows() -> None:
    look = Look([("a",), ("b",)], [None, None], [1], [1], [0], np.array([0, 1, 1, 0]))
    assert (look.rows(look.lacking), look.rows(look.due), look.rows([])) == ([1, 2], [0, 3], [])
    look.put(3, (AT, AT, (1.0,)))
    assert look.stored == [(AT, AT, (1.0,)), None]


def test_rows_that_forget_leave_others_of_their_entity_what_they_have() -> None:
    known = AT, AT, (1.0,)
    look = Look([("a",)], [known], [], [], [], np.array([0, 0, 0]))
    look.forget({1}, 3)
    assert look.places is not None
    assert [look.stored[place] for place in look.places] == [known, None, known]
