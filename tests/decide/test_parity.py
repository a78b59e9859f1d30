from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.parity import SHOWN, Comparison, Difference, Pair, compare, judge, same
from everloop.decide.policy import ParityPolicy
from everloop.decide.verdict import Outcome

POLICY = ParityPolicy(minimum_share=0.9, tolerance=1e-9)


def pair(served: Any, replayed: Any, key: str = "k") -> Pair:
    return Pair(key, {"v__x": served}, {"v__x": replayed})


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
        (True, True, True),
        (True, 1.0, True),
        ("a", "b", False),
        ("1", 1.0, False),
    ],
)
def test_values_are_equal_when_both_are_missing_or_within_tolerance(left: Any, right: Any, equal: bool) -> None:
    assert same(left, right, 1e-9) is equal
    assert same(right, left, 1e-9) is equal


def test_a_row_is_equal_only_in_every_column() -> None:
    both = Pair("a", {"v__x": 1.0, "v__y": 2.0}, {"v__x": 1.0, "v__y": 3.0})
    found = compare([both, pair(1.0, 1.0)], 1e-9)
    assert (found.rows, found.equal, found.share) == (2, 1, 0.5)
    assert found.columns == {"v__y": 1}
    assert found.differences == (Difference("a", "v__y", 2.0, 3.0),)


def test_columns_that_history_lacks_are_named_and_a_row_of_them_alone_is_not_counted() -> None:
    found = compare([Pair("a", {"old__x": 1.0}, {"v__x": 1.0})], 1e-9)
    assert (found.rows, found.equal, found.share) == (0, 0, None)
    assert found.not_replayed == ("old__x",)


@given(st.lists(st.booleans(), max_size=60))
def test_counts_add_up(equal: list[bool]) -> None:
    found = compare([pair(1.0, 1.0 if same_value else 2.0) for same_value in equal], 1e-9)
    assert (found.rows, found.equal) == (len(equal), sum(equal))
    assert found.columns == ({"v__x": len(equal) - sum(equal)} if not all(equal) else {})
    assert len(found.differences) == min(SHOWN, len(equal) - sum(equal))


def test_no_row_is_inconclusive_never_a_pass() -> None:
    assert judge(compare([], 1e-9), POLICY).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("equal", "outcome"), [(90, Outcome.PASS), (89, Outcome.FAIL), (100, Outcome.PASS), (0, Outcome.FAIL)])
def test_the_share_decides_its_bound_included(equal: int, outcome: Outcome) -> None:
    verdict = judge(Comparison(100, equal, {"v__x": 100 - equal}, ()), POLICY)
    assert verdict.outcome is outcome
    assert f"{equal} of 100" in verdict.because()


def test_a_column_that_was_not_compared_keeps_a_pass_from_being_given() -> None:
    verdict = judge(Comparison(100, 100, {}, (), ("old__x",)), POLICY)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "old__x" in verdict.because()


def test_the_worst_columns_are_named() -> None:
    assert "v__x differs in 3" in judge(compare([pair(1, 2)] * 3, 1e-9), POLICY).because()
