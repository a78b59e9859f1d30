from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decide.release.gate.candidates import estimate
from everloop.decide.policy import GatePolicy
from everloop.decide.release.gate.margins import rows_reason, share_within, with_sufficiency, within
from everloop.decide.statistics.intervals import Range, wilson
from everloop.decide.statistics.sufficiency import Sufficiency
from everloop.decide.verdict import Outcome, Reason


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (estimate(0.01, 0.01), Outcome.PASS),
        (estimate(0.02, 0.01), Outcome.INCONCLUSIVE),
        (estimate(0.03, 0.01), Outcome.INCONCLUSIVE),
        (estimate(0.031, 0.01), Outcome.FAIL),
    ],
)
def test_a_margin_is_kept_by_the_whole_interval_and_broken_by_the_whole_interval(loss, expected: Outcome) -> None:
    assert within(loss, 0.02) is expected


@pytest.mark.parametrize(
    ("hits", "rows", "expected"),
    [
        (0, 0, Outcome.INCONCLUSIVE),
        (1, 10, Outcome.PASS),
        (2, 10, Outcome.INCONCLUSIVE),
        (8, 10, Outcome.FAIL),
        (101, 1_000, Outcome.INCONCLUSIVE),
        (125, 1_000, Outcome.FAIL),
    ],
)
def test_a_share_fails_only_when_it_is_shown_to_be_beyond_its_limit(hits: int, rows: int, expected: Outcome) -> None:
    assert share_within(hits, rows, 0.1, 0.95) is expected


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.5, 0.999))
def test_more_confidence_never_fails_more(rows: int, limit: float, confidence: float) -> None:
    for hits in (0, rows // 2, rows):
        sure, less_sure = share_within(hits, rows, limit, 0.999), share_within(hits, rows, limit, confidence)
        assert sure is not Outcome.FAIL or less_sure is Outcome.FAIL


def test_the_minimum_of_rows_is_enough_and_one_less_is_not() -> None:
    policy = GatePolicy(minimum_rows=10)
    assert rows_reason("gate.rows", 10, policy).outcome is Outcome.PASS
    short = rows_reason("gate.rows", 9, policy)
    assert (short.check, short.outcome) == ("gate.rows", Outcome.INCONCLUSIVE)
    assert short.text == "9 rows to judge on, at least 10 wanted"
    assert short.numbers == {"rows": 9, "minimum": 10}


def test_an_interval_that_begins_at_the_margin_has_not_broken_it() -> None:
    assert within(Range(0.25, 0.75), 0.25) is Outcome.INCONCLUSIVE
    assert within(Range(-0.75, 0.25), 0.25) is Outcome.PASS


def test_a_share_is_beyond_its_limit_at_the_confidence_that_is_asked() -> None:
    # 5 of 200 rows: Wilson's lower limit is 0.0107 at 95 % and 0.0075 at 99.5 %.
    assert share_within(5, 200, 0.01, 0.95) is Outcome.FAIL
    assert share_within(5, 200, 0.01, 0.995) is Outcome.INCONCLUSIVE
    assert share_within(5, 200, wilson(5, 200, 0.8).low, 0.8) is Outcome.INCONCLUSIVE
    assert share_within(1, 1, 1.0, 0.8) is Outcome.PASS


LACKING = Reason("gate.cost", Outcome.INCONCLUSIVE, "too wide", {"margin": 0.02})


def told(**found) -> Reason:
    return with_sufficiency(
        LACKING, Sufficiency(**{"rows": 1_750, "margin": 0.02, "shows": 0.1, "wanted": 9_000, **found}), "{:.0%}".format
    )


def test_what_could_be_shown_is_told_of_what_lacks_evidence_alone() -> None:
    assert told() == Reason(
        "gate.cost", Outcome.INCONCLUSIVE, "too wide; 1,750 rows can show 10%, 2% takes about 9,000 rows",
        {"margin": 0.02, "shows": 0.1, "rows_wanted": 9_000, "weeks_wanted": None},
    )  # fmt: skip
    for outcome in (Outcome.PASS, Outcome.FAIL, Outcome.ERROR):
        decided = replace(LACKING, outcome=outcome)
        assert with_sufficiency(decided, Sufficiency(rows=1, margin=1, shows=1, wanted=1), str) is decided


def test_rows_enough_lie_too_near_and_rows_of_one_block_show_nothing() -> None:
    assert told(shows=0.01, wanted=400).text == "too wide; 1,750 rows can show 1%: this candidate lies too near 2%"
    assert told(shows=math.inf, wanted=None).text == "too wide; rows of one block of time show nothing, have at least two"


def test_weeks_of_the_least_rows_are_told_where_they_lack_alone() -> None:
    assert rows_reason("gate.rows", 999, GatePolicy(), 100).text == "999 rows to judge on, at least 1000 wanted (10 weeks)"
    assert rows_reason("gate.rows", 1_000, GatePolicy(), 100).text == "1000 rows to judge on, at least 1000 wanted"
    assert rows_reason("gate.rows", 999, GatePolicy()).text == "999 rows to judge on, at least 1000 wanted"
