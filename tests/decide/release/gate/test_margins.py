from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decide.release.gate.candidates import estimate
from everloop.decide.policy import ExpectedLoss, GatePolicy
from everloop.decide.release.gate.margins import kept, measured_on, rows_reason, share_within, with_sufficiency, within
from everloop.decide.statistics.clusters import Clusters, clustered_rate
from everloop.decide.statistics.intervals import Range
from everloop.decide.statistics.sufficiency import Sufficiency
from everloop.decide.verdict import Outcome, Reason


def at(confidence: float) -> GatePolicy:
    return GatePolicy(confidence=confidence)


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
        (1, 10, Outcome.INCONCLUSIVE),
        (2, 10, Outcome.INCONCLUSIVE),
        (75, 1_000, Outcome.PASS),
        (99, 1_000, Outcome.INCONCLUSIVE),
        (8, 10, Outcome.FAIL),
        (101, 1_000, Outcome.INCONCLUSIVE),
        (125, 1_000, Outcome.FAIL),
    ],
)
def test_a_share_is_judged_when_it_is_shown_on_which_side_of_its_limit_it_lies(hits: int, rows: int, expected: Outcome) -> None:
    assert share_within(Clusters.independent(rows, hits), 0.1, at(0.95)) is expected


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.5, 0.999))
def test_more_confidence_never_decides_more(rows: int, limit: float, confidence: float) -> None:
    for hits in (0, rows // 2, rows):
        found = Clusters.independent(rows, hits)
        sure, less_sure = share_within(found, limit, at(0.999)), share_within(found, limit, at(confidence))
        assert sure in (Outcome.INCONCLUSIVE, less_sure)


def test_the_minimum_of_rows_is_enough_and_one_less_is_not() -> None:
    policy = GatePolicy(minimum_rows=10)
    assert rows_reason("gate.rows", 10, 2, policy).outcome is Outcome.PASS
    short = rows_reason("gate.rows", 9, 1, policy)
    assert (short.check, short.outcome) == ("gate.rows", Outcome.INCONCLUSIVE)
    assert short.text == "9 rows of 1 day to judge on, at least 10 wanted"
    assert short.numbers == {"rows": 9, "blocks": 1, "minimum": 10}


def test_an_interval_that_begins_at_the_margin_has_not_broken_it() -> None:
    assert within(Range(0.25, 0.75), 0.25) is Outcome.INCONCLUSIVE
    assert within(Range(-0.75, 0.25), 0.25) is Outcome.PASS


def test_a_share_is_beyond_its_limit_at_the_confidence_that_is_asked() -> None:
    # 5 of 200 rows: Wilson's lower limit is 0.0107 at 95 % and 0.0075 at 99.5 %.
    found = Clusters.independent(200, 5)
    assert share_within(found, 0.01, at(0.95)) is Outcome.FAIL
    assert share_within(found, 0.01, at(0.995)) is Outcome.INCONCLUSIVE
    low, high = clustered_rate(found, 0.8)
    assert (share_within(found, low, at(0.8)), share_within(found, high, at(0.8))) == (Outcome.INCONCLUSIVE, Outcome.PASS)


def test_a_share_of_days_that_differ_is_known_by_its_days() -> None:
    calm, storm = Clusters.of([100] * 8, [5] * 8), Clusters.of([100] * 8, [40, 0, 0, 0, 0, 0, 0, 0])
    assert share_within(calm, 0.1, at(0.95)) is Outcome.PASS
    assert share_within(storm, 0.1, at(0.95)) is Outcome.INCONCLUSIVE
    assert share_within(Clusters.of([800], [0]), 0.1, at(0.95)) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("blocks", "block", "told"),
    [
        (21, timedelta(days=1), "9,211 rows of 21 days"),
        (1, timedelta(weeks=1), "9,211 rows of 1 week"),
        (1_300, timedelta(hours=1), "9,211 rows of 1,300 hours"),
        (7, timedelta(days=2), "9,211 rows of 7 blocks of 2 days, 0:00:00"),
        (1, timedelta(minutes=30), "9,211 rows of 1 block of 0:30:00"),
    ],
)
def test_what_was_measured_on_is_told_in_rows_and_blocks_of_time(blocks: int, block: timedelta, told: str) -> None:
    assert measured_on(9_211, blocks, GatePolicy(block=block)) == told


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
    assert told(shows=math.inf, wanted=None).text == "too wide; they show nothing: rows of two blocks of time are the least"


def test_weeks_of_the_least_rows_are_told_where_they_lack_alone() -> None:
    assert (
        rows_reason("gate.rows", 999, 9, GatePolicy(), 100).text
        == "999 rows of 9 days to judge on, at least 1,000 wanted (10 weeks)"
    )
    assert rows_reason("gate.rows", 1_000, 9, GatePolicy(), 100).text == "1,000 rows of 9 days to judge on, at least 1,000 wanted"
    assert rows_reason("gate.rows", 999, 9, GatePolicy()).text == "999 rows of 9 days to judge on, at least 1,000 wanted"


def test_by_expected_loss_a_limit_is_kept_at_its_own_level_and_broken_at_the_gates() -> None:
    small = GatePolicy(decide_by=ExpectedLoss(harm=0.10))
    # Standard error 0.01: the upper end is 1.2816 of it above the value, not 1.96.
    assert kept(estimate(0.0, 0.0196), 0.0129, small) is Outcome.PASS
    assert kept(estimate(0.0, 0.0196), 0.0127, small) is Outcome.INCONCLUSIVE
    assert kept(estimate(0.0, 0.0196), 0.0129, GatePolicy()) is Outcome.INCONCLUSIVE
    assert kept(estimate(0.03, 0.0196), 0.011, small) is Outcome.INCONCLUSIVE
    assert kept(estimate(0.03, 0.0196), 0.010, small) is Outcome.FAIL
    found = Clusters.independent(300, 2)
    assert (share_within(found, 0.02, small), share_within(found, 0.02, GatePolicy())) == (Outcome.PASS, Outcome.INCONCLUSIVE)
    broken = Clusters.independent(200, 4)
    assert clustered_rate(broken, 0.8).low > 0.0085 > clustered_rate(broken, 0.95).low
    assert share_within(broken, 0.0085, small) is Outcome.INCONCLUSIVE
