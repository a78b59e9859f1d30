"""Keys as numbers against the keys themselves."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.adapters.features.history import keys
from everloop.adapters.features.history.keys import AskedKeys

KEYS = st.lists(st.tuples(st.sampled_from(["a", "b", "", None]), st.sampled_from([0, 1, -5, None])), max_size=12)


def columns(rows: list[Any]) -> list[pa.ChunkedArray]:
    texts, numbers = [row[0] for row in rows], [row[1] for row in rows]
    return [pa.chunked_array([pa.array(texts, pa.string())]), pa.chunked_array([pa.array(numbers, pa.int64())])]


@pytest.mark.parametrize("many", [keys._MANY, 1])
@given(asked=KEYS, stored=KEYS)
def test_equal_keys_have_equal_numbers_and_a_null_is_no_key(many: int, asked: list[Any], stored: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "_MANY", many)
        found = AskedKeys(columns(asked), len(asked))
        numbers = found.of([column.combine_chunks() for column in columns(stored)], len(stored)).tolist()
    for key, number in zip(asked, found.numbers.tolist(), strict=True):
        assert (number == -1) == (None in key)
        assert number < found.count
        for other, its in zip(asked, found.numbers.tolist(), strict=True):
            assert None in key or None in other or (key == other) == (number == its)
        for other, its in zip(stored, numbers, strict=True):
            assert None in key or None in other or (key == other) == (number == its)


def test_without_key_columns_every_row_has_the_same_key() -> None:
    found = AskedKeys([], 3)
    assert found.numbers.tolist() == found.of([], 3).tolist() == [0, 0, 0]


def test_the_values_asked_for_are_told_by_column() -> None:
    found = AskedKeys(columns([("a", 1), ("b", 1), (None, None)]), 3)
    assert [values.to_pylist() for values in found.values] == [["a", "b"], [1]]
