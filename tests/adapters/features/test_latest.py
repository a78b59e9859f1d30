"""Which row counts, by a reference that looks at every row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.adapters.features.history import latest
from everloop.adapters.features.history.latest import latest_known

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 5)), max_size=15)
ASKED = st.lists(st.tuples(st.integers(-1, 4), st.integers(-6, 6)), max_size=15)


@pytest.mark.parametrize("room", [latest._ROOM, 1])
@given(rows=ROWS, asked=ASKED)
def test_the_last_known_row_of_the_key_counts(room: int, rows: list[Any], asked: list[Any]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    numbers = [np.array([row[i] for row in given], np.int64) for given in (rows, asked) for i in (0, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latest, "_ROOM", room)
        found = latest_known(*numbers).tolist()
    wanted = [
        max((n for n, (row_key, known_from) in enumerate(rows) if row_key == key and known_from <= moment), default=-1)
        for key, moment in asked
    ]
    assert found == wanted
