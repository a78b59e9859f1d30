"""Equal rows have equal fingerprints, wherever they stand; other rows have others."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from everloop.fingerprint import fingerprints

SCHEMA = pa.schema([("n", pa.int64()), ("x", pa.float64()), ("s", pa.string()), ("why", pa.list_(pa.string()))])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "n": st.none() | st.integers(0, 2),
            "x": st.none() | st.sampled_from([0.0, 1.5, float("nan")]),
            "s": st.none() | st.sampled_from(["", "a", "b"]),
            "why": st.none() | st.lists(st.sampled_from(["", "a", "b"]), max_size=2),
        }
    ),
    max_size=6,
)


def told(rows: list[dict[str, Any]]) -> list[tuple[int, ...]]:
    return fingerprints(pa.RecordBatch.from_pylist(rows, SCHEMA), SCHEMA.names).rows()


@given(ROWS)
def test_fingerprints_are_equal_exactly_when_rows_are(rows: list[dict[str, Any]]) -> None:
    whole = told(rows)
    for one, mine in zip(rows, whole, strict=True):
        assert told([one]) == [mine]
        assert [mine == other for other in whole] == [repr(sorted(one.items())) == repr(sorted(other.items())) for other in rows]
    assert told(rows[::-1]) == whole[::-1]
