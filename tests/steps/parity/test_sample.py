from __future__ import annotations

import pyarrow as pa
import pytest

from everloop.steps.parity.sample import sample


def rows(count: int, requests: int | None = None) -> pa.Table:
    """`count` rows of as many requests, or of few that hold many rows each."""
    names = [f"q{n % requests if requests else n}" for n in range(count)]
    return pa.table({"request_id": names, "key": [f"k{n}" for n in range(count)], "n": list(range(count))})


@pytest.mark.parametrize(("count", "size", "taken"), [(3, 5, 3), (5, 5, 5), (6, 5, 5), (400, 100, 100), (0, 3, 0)])
def test_no_more_rows_are_taken_than_asked_for_and_none_is_left_without_need(count: int, size: int, taken: int) -> None:
    assert sample(rows(count), size).num_rows == taken


def test_the_sample_is_the_same_whatever_the_order_of_the_rows() -> None:
    given = rows(400)
    backwards = given.take(list(range(399, -1, -1)))
    assert sorted(sample(backwards, 50)["key"].to_pylist()) == sorted(sample(given, 50)["key"].to_pylist())
    assert sample(given, 50)["n"].to_pylist() == sorted(sample(given, 50)["n"].to_pylist())


def test_a_larger_sample_holds_the_smaller_one() -> None:
    given = rows(400)
    assert set(sample(given, 50)["key"].to_pylist()) <= set(sample(given, 60)["key"].to_pylist())


def test_the_sample_is_spread_over_all_rows_also_within_requests_of_many() -> None:
    for given in (rows(4_000), rows(4_000, requests=4)):
        quarters = [n // 1_000 for n in sample(given, 400)["n"].to_pylist()]
        assert all(70 < quarters.count(quarter) < 130 for quarter in range(4))
    assert set(sample(rows(4_000, requests=4), 400)["request_id"].to_pylist()) == {"q0", "q1", "q2", "q3"}
