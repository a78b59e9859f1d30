"""A stream cut into parts: nothing lost, nothing twice, wherever its batches were cut."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.errors import DataError
from everloop.steps.score.dividing import divided, without_twins


def batches(sizes: list[int]) -> list[pa.RecordBatch]:
    """Keys `000`, `001`, ... in batches of these sizes."""
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    return [
        pa.record_batch({"key": pa.array([f"{n:03}" for n in range(start, start + size)], pa.string())})
        for start, size in zip(starts, sizes, strict=True)
    ]


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 12))
def test_parts_are_full_but_for_the_last_and_hold_every_row_once(sizes: list[int], rows: int) -> None:
    parts = [[key for batch in part for key in batch["key"].to_pylist()] for part in divided(batches(sizes), rows)]
    assert [key for part in parts for key in part] == [f"{n:03}" for n in range(sum(sizes))]
    assert [len(part) for part in parts] == [rows] * (sum(sizes) // rows) + [sum(sizes) % rows] * (sum(sizes) % rows > 0)


@given(st.lists(st.integers(0, 9), max_size=8))
def test_keys_of_their_own_pass(sizes: list[int]) -> None:
    assert list(without_twins(batches(sizes), "taxi")) == batches(sizes)


@pytest.mark.parametrize("cut", range(6))
def test_a_repeated_key_is_found_within_and_across_batches(cut: int) -> None:
    keys = pa.table({"key": ["a", "b", "b", "c", "d"]}).to_batches()[0]
    with pytest.raises(DataError, match="key occurs before"):
        list(without_twins([keys.slice(0, cut), keys.slice(cut)], "taxi"))
