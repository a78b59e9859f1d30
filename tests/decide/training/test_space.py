from __future__ import annotations

import pytest

from everloop.decide.training.space import Choice, Integers, LogUniform, Space, Uniform


@pytest.mark.parametrize(
    ("space", "inside", "outside"),
    [
        (Uniform(0.1, 0.5), (0.1, 0.3, 0.5), (0.09, 0.51, "0.3")),
        (LogUniform(0.01, 10.0), (0.01, 1, 10.0), (0.009, 10.1, "1")),
        (Integers(2, 4), (2, 3, 4), (1, 5, 3.0, "3")),
        (Choice(("hist", "exact", 3)), ("hist", "exact", 3), ("approx", 4)),
    ],
)
def test_a_range_holds_its_ends_and_nothing_beyond_or_of_another_kind(space: Space, inside: tuple, outside: tuple) -> None:
    assert [space.holds(value) for value in inside] == [True] * len(inside)
    assert [space.holds(value) for value in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    ("space", "problem"),
    [
        (Uniform(-1.0, 0.5), None),
        (Uniform(0.5, 0.5), "low must be below high"),
        (LogUniform(0.01, 0.5), None),
        (LogUniform(0.0, 0.5), "0 < low < high must hold"),
        (LogUniform(0.5, 0.5), "0 < low < high must hold"),
        (Integers(0, 1), None),
        (Integers(1, 1), "low must be below high"),
        (Choice(("a", "b")), None),
        (Choice(("a",)), "a choice needs two values or more"),
    ],
)
def test_what_is_no_range_says_the_rule_that_it_breaks(space: Space, problem: str | None) -> None:
    assert space.problem() == problem
