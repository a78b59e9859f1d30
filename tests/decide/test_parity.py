from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.parity import SHOWN, Comparison, Difference, Offence, Pair, Tally, compare, same
from everloop.decide.statistics.intervals import wilson

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)


def pair(served: Any, replayed: Any, /, **changes: Any) -> Pair:
    given = {"request_id": "q", "key": "k", "as_of": NOON, "served": {"v__x": served}, "replayed": {"v__x": replayed}}
    return Pair(**(given | changes))


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (None, None, True),
        (None, float("nan"), True),
        (None, 0.0, False),
        (0, 0.0, True),
        (1.0, 1.0 + 1e-12, True),
        (1.0, 1.0 + 1e-6, False),
        (1e9, 1e9 + 0.1, True),
        (float("inf"), float("inf"), True),
        (float("inf"), 5.0, False),
        (float("inf"), float("-inf"), False),
        (True, True, True),
        (True, 1.0, True),
        ("a", "b", False),
        ("1", 1.0, False),
    ],
)
def test_values_are_equal_when_both_are_missing_or_within_tolerance(left: Any, right: Any, equal: bool) -> None:
    assert same(left, right, 1e-9) is equal
    assert same(right, left, 1e-9) is equal


@pytest.mark.parametrize(
    ("right", "tolerance", "equal"),
    [(1000.9, 1e-3, True), (1001.1, 1e-3, False), (1000.0 + 1e-7, 1e-12, False), (1000.0, 1e-12, True)],
)
def test_the_tolerance_is_relative_above_one(right: float, tolerance: float, equal: bool) -> None:
    assert same(1000.0, right, tolerance) is equal


@pytest.mark.parametrize(("right", "equal"), [(0.0009, True), (0.0011, False)])
def test_the_tolerance_is_absolute_near_nothing(right: float, equal: bool) -> None:
    assert same(0.0, right, 1e-3) is equal


def test_a_view_is_what_stands_before_the_first_double_underscore() -> None:
    features = {"v__mean__7d": 1.0, "v__x": 1.0, "w__x": 1.0}
    again = features | {"v__mean__7d": 2.0}
    found = compare([pair(0, 0, served=features, replayed=again, statuses={"v": "fresh", "w": "fresh"})], 1e-9)
    assert found.statuses == {"fresh": Tally(2, 1)}
    assert found.worst[0].differences == (Difference("v__mean__7d", 1.0, 2.0, "fresh"),)


@pytest.mark.parametrize("differing", ["v__x", "v__y"])
def test_one_differing_feature_makes_its_view_differ_wherever_it_stands(differing: str) -> None:
    features = {"v__x": 1.0, "v__y": 1.0}
    found = compare([pair(0, 0, served=features, replayed=features | {differing: 2.0}, statuses={"v": "fresh"})], 1e-9)
    assert found.statuses == {"fresh": Tally(1, 0)}


def test_a_row_is_equal_only_in_every_feature() -> None:
    both = pair(1.0, 1.0, request_id="a", served={"v__x": 1.0, "v__y": 2.0}, replayed={"v__x": 1.0, "v__y": 3.0})
    found = compare([both, pair(1.0, 1.0)], 1e-9)
    assert (found.whole, found.whole.share) == (Tally(2, 1), 0.5)
    assert found.features == {"v__x": Tally(2, 2), "v__y": Tally(1, 0)}
    assert found.differing == {"v__y": 1}
    assert found.worst == (Offence("a", "k", NOON, (Difference("v__y", 2.0, 3.0, "computed"),)),)


def test_each_view_counts_by_its_status_when_it_was_served() -> None:
    features = {"v__x": 1.0, "v__y": 1.0, "w__z": None, "clock__hour": 3}
    again = {"v__x": 1.0, "v__y": 2.0, "w__z": None, "clock__hour": 3}
    found = compare([pair(0, 0, served=features, replayed=again, statuses={"v": "fresh", "w": "stale"})], 1e-9)
    assert found.statuses == {"fresh": Tally(1, 0), "stale": Tally(1, 1), "computed": Tally(1, 1)}
    assert found.worst[0].differences == (Difference("v__y", 1.0, 2.0, "fresh"),)


def test_rows_served_without_the_store_are_counted_apart_and_not_as_equal() -> None:
    found = compare([pair(None, 3.0, unavailable=True), pair(None, None, unavailable=True), pair(1, 1)], 1e-9)
    assert (found.whole, found.unavailable, found.differing) == (Tally(1, 1), 2, {})


def test_features_that_history_lacks_are_named_and_a_row_of_them_alone_is_not_counted() -> None:
    found = compare([pair(0, 0, served={"old__x": 1.0})], 1e-9)
    assert (found.whole, found.whole.share, found.interval) == (Tally(0, 0), None, (0.0, 1.0))
    assert found.not_replayed == ("old__x",)


@given(st.lists(st.booleans(), max_size=60))
def test_counts_add_up(equal: list[bool]) -> None:
    found = compare([pair(1.0, 1.0 if same_value else 2.0) for same_value in equal], 1e-9)
    assert found.whole == Tally(len(equal), sum(equal))
    assert found.differing == ({"v__x": len(equal) - sum(equal)} if not all(equal) else {})
    assert len(found.worst) == min(SHOWN, len(equal) - sum(equal))


def test_the_rows_with_the_most_differences_are_the_ones_shown() -> None:
    names = [f"v__{n}" for n in range(3)]
    bad = pair(0, 0, request_id="bad", served=dict.fromkeys(names, 1), replayed=dict.fromkeys(names, 2))
    found = compare([*[pair(1, 2, request_id=f"q{n}") for n in range(SHOWN)], bad], 1e-9)
    assert (found.worst[0].request_id, len(found.worst)) == ("bad", SHOWN)


def test_the_sample_speaks_of_all_rows_within_wilsons_interval() -> None:
    assert Comparison(whole=Tally(500, 497)).interval == wilson(497, 500)
