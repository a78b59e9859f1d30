from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.statistics.sufficiency import POWER, Sufficiency, in_weeks, rounded, sufficiency

HALF = 1.959964
"""A half-width at 95 % of an estimate whose standard error is 1."""


def test_the_numbers_are_those_of_the_textbook() -> None:
    # Non-inferiority, one-sided 2.5 %, power 80 %: n = (1.96 + 0.8416)^2 s^2 / d^2 = 7.849 s^2 / d^2.
    found = sufficiency(100, HALF / 10, 0.05, 0.95)
    assert found.shows == pytest.approx(0.28016, abs=1e-4)
    assert found.wanted == math.ceil(7.8489 / 0.05**2)
    assert (found.rows, found.margin, found.enough) == (100, 0.05, False)


def test_two_alike_models_of_the_flights_take_19000_rows_to_show_two_per_cent() -> None:
    found = sufficiency(22_000, 0.013, 0.02, 0.95, per_week=750)
    assert found.takes == "about 19,000 rows (26 weeks)"
    assert found.enough


def test_a_true_value_below_the_margin_leaves_only_the_room_between_them() -> None:
    alone, worse = (sufficiency(100, 1.0, 2.0, 0.95, value=value) for value in (0.0, 1.0))
    assert worse.shows == alone.shows + 1
    assert worse.wanted == pytest.approx(4 * alone.wanted, abs=4)


@pytest.mark.parametrize("value", [0.05, 0.06])
def test_what_is_not_below_the_margin_no_number_of_rows_shows(value: float) -> None:
    found = sufficiency(100, 0.1, 0.05, 0.95, value=value, per_week=10)
    assert (found.wanted, found.weeks, found.enough, found.takes) == (None, None, False, "another value than this one")


@pytest.mark.parametrize("reach", [math.inf, math.nan])
def test_an_interval_without_end_shows_nothing(reach: float) -> None:
    found = sufficiency(100, reach, 0.05, 0.95)
    assert found.wanted is None
    assert found.numbers() == {"shows": None, "rows_wanted": None, "weeks_wanted": None}


@given(st.integers(2, 10_000), st.floats(0.001, 10), st.floats(0.001, 10), st.floats(0.5, 0.99))
def test_with_as_many_rows_as_it_takes_the_margin_is_what_they_show(rows, reach, margin, confidence) -> None:
    wanted = sufficiency(rows, reach, margin, confidence).wanted
    assert wanted is not None
    then = sufficiency(wanted, reach * math.sqrt(rows / wanted), margin, confidence)
    assert then.shows <= margin * (1 + 1e-9)
    assert then.enough


def test_what_is_as_good_is_shown_as_often_as_said() -> None:
    random = np.random.default_rng(16)
    margin, spread, rows = 0.1, 1.0, 200
    wanted = sufficiency(rows, HALF * spread / math.sqrt(rows), margin, 0.95).wanted
    assert wanted is not None
    means = random.normal(0, spread / math.sqrt(wanted), 20_000)
    assert (means + HALF * spread / math.sqrt(wanted) <= margin).mean() == pytest.approx(POWER, abs=0.01)


def test_as_json_it_tells_what_is_shown_and_what_is_wanted() -> None:
    found = Sufficiency(rows=750, margin=0.02, shows=0.1, wanted=15_000, per_week=750)
    assert found.numbers() == {"shows": 0.1, "rows_wanted": 15_000, "weeks_wanted": 20}
    assert not found.enough
    assert Sufficiency(rows=750, margin=0.02, shows=0.02, wanted=750).enough
    assert Sufficiency(rows=750, margin=0.02, shows=0.1, wanted=15_000).weeks is None


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (19_321, "19,000"),
        (750, "750"),
        (745, "740"),
        (12, "12"),
        (9.6, "10"),
        (9.46, "9"),
        (1, "1"),
        (0.4, "0"),
        (0, "0"),
        (1_260_000, "1,300,000"),
    ],
)
def test_numbers_are_told_to_two_digits(number: float, words: str) -> None:
    assert rounded(number) == words


@pytest.mark.parametrize(
    ("weeks", "words"), [(None, ""), (0.2, " (1 week)"), (1, " (1 week)"), (1.1, " (2 weeks)"), (180, " (180 weeks)")]
)
def test_weeks_are_told_whole(weeks: float | None, words: str) -> None:
    assert in_weeks(weeks) == words
