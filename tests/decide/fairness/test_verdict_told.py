"""What a verdict on groups says, in words and in numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from everloop.decide.fairness import ALWAYS_VALID, ONE_LOOK, GroupCounts, count, judge
from everloop.decide.policy import FairnessPolicy
from everloop.decide.statistics.intervals import newcombe
from everloop.decide.verdict import Outcome, Reason

PARITY = FairnessPolicy(columns=("g",), selection_difference=0.1)
RULE = FairnessPolicy.four_fifths("g")


def selected(**rates) -> dict[str, GroupCounts]:
    """Groups by `name=(selected, rows)`."""
    return {name: GroupCounts(rows=rows, selected=hits) for name, (hits, rows) in rates.items()}


def only_reason(groups, policy, **asked) -> Reason:
    (reason,) = judge("g", groups, policy, **asked).reasons
    return reason


def test_a_gap_is_told_with_its_interval_alone_and_among_all_that_were_compared():
    reason = only_reason(selected(a=(900, 3_000), b=(500, 1_000), c=(330, 1_000)), PARITY)
    assert (reason.check, reason.outcome) == ("fairness.g.selection", Outcome.FAIL)
    assert reason.text == "selection of g=b is 50.0%, of all 34.6%: 0.154 [0.121, 0.187], limit 0.1"
    assert reason.numbers.keys() == {"limit", "family", "shown", "gaps"}
    assert [reason.numbers[name] for name in ("limit", "family", "shown")] == [0.1, 3, 1]
    # 500 of 1,000 against 1,230 of the 4,000 others, who are 4/5 of all: first at 0.05 / 3 (Holm), then by itself.
    alone, among = (newcombe((500, 1_000), (1_230, 4_000), 1 - level) for level in (0.05, 0.05 / 3))
    assert reason.numbers["gaps"][0] == {
        "group": "b",
        "against": "whole",
        "rate": 0.5,
        "other": pytest.approx(0.346),
        "trials": 1_000,
        "effective": 1_000,
        "value": pytest.approx(0.154),
        "low": pytest.approx(0.8 * alone.low),
        "high": pytest.approx(0.8 * alone.high),
        "level": pytest.approx(0.05 / 3),
        "adjusted_low": pytest.approx(0.8 * among.low),
        "adjusted_high": pytest.approx(0.8 * among.high),
    }


def test_what_is_shown_is_listed_first_then_the_largest_gap_of_each_other_group():
    reason = only_reason(selected(a=(900, 3_000), b=(500, 1_000), c=(330, 1_000)), PARITY)
    # Once b is shown, the two that are left are judged at 0.05 / 2.
    assert [(gap["group"], gap["level"]) for gap in reason.numbers["gaps"]] == [
        ("b", pytest.approx(0.05 / 3)), ("a", 0.025), ("c", 0.025),
    ]  # fmt: skip
    pairs = only_reason(selected(a=(500, 1_000), b=(480, 1_000), c=(470, 1_000)), replace(PARITY, against="groups"))
    assert [(gap["group"], gap["against"]) for gap in pairs.numbers["gaps"]] == [("c", "a"), ("b", "a")]


def test_the_largest_of_several_shown_gaps_is_told_and_the_others_are_counted():
    groups = selected(a=(500, 1_000), b=(100, 1_000), c=(900, 1_000))
    reason = only_reason(groups, replace(PARITY, against="groups"))
    assert reason.text == ("selection of g=b is 10.0%, of g=c 90.0%: -0.800 [-0.829, -0.765], limit 0.1; as much for 2 more")
    assert [(gap["group"], gap["against"]) for gap in reason.numbers["gaps"]] == [("b", "a"), ("b", "c"), ("a", "c")]
    assert reason.numbers["shown"] == 3
    assert only_reason(selected(a=(100, 1_000), b=(900, 1_000)), PARITY).text.endswith("; as much for 1 more")


def test_what_is_not_shown_is_told_by_its_largest_gap():
    chance = only_reason(selected(a=(80, 210), b=(100, 210)), replace(PARITY, selection_difference=0.04))
    assert (chance.outcome, chance.numbers["shown"]) == (Outcome.INCONCLUSIVE, 0)
    assert chance.text == (
        "selection of g=a is 38.1%, of all 42.9%: -0.048 [-0.100, 0.006], limit 0.04; 210 independent rows of a group show a "
        "difference of 0.11, this one takes about 20,000 rows"
    )
    small = only_reason(selected(a=(500, 1_000), b=(480, 1_000)), PARITY)
    assert (small.outcome, small.numbers["shown"]) == (Outcome.PASS, 0)
    assert [gap["group"] for gap in small.numbers["gaps"]] == ["a", "b"]


def test_one_gap_over_its_limit_keeps_all_from_passing():
    groups = selected(a=(800, 2_000), b=(400, 1_000), c=(112, 220))
    assert only_reason(groups, PARITY).outcome is Outcome.INCONCLUSIVE
    assert only_reason(groups, replace(PARITY, minimum=221)).outcome is Outcome.PASS


def test_why_nothing_is_judged_is_told():
    nothing = only_reason(selected(a=(0, 0)), PARITY)
    assert nothing == Reason(
        "fairness.g.selection",
        Outcome.INCONCLUSIVE,
        "no two groups of g have 200 independent rows to judge selection on",
        {"limit": 0.1, "minimum": 200},
    )
    nobody = only_reason(selected(a=(0, 900), b=(0, 900)), RULE)
    assert nobody.text == "no two groups of g have 200 independent rows to judge selection_ratio on and a selection"
    unlimited = only_reason(selected(a=(1, 300), b=(250, 300)), FairnessPolicy(columns=("g",)))
    assert unlimited == Reason(
        "fairness.g", Outcome.INCONCLUSIVE, "groups of g are reported, not judged: the policy sets no limit", {}
    )


def test_all_rates_share_the_chance_of_a_false_alarm():
    counts = GroupCounts(rows=1_000, selected=400, positives=500, true_positives=300, negatives=500, false_positives=100)
    verdict = judge("g", {"a": counts, "b": counts}, replace(PARITY, error_rate_difference=0.2))
    assert [reason.check for reason in verdict.reasons] == [
        "fairness.g.selection", "fairness.g.tpr", "fairness.g.fpr",
    ]  # fmt: skip
    for reason in verdict.reasons:
        assert [(gap["group"], gap["level"]) for gap in reason.numbers["gaps"]] == [
            ("a", pytest.approx(0.05 / 6)), ("b", pytest.approx(0.05 / 6)),
        ]  # fmt: skip


def test_a_group_of_few_rows_counts_in_the_family_before_it_is_judged():
    reason = only_reason(selected(a=(400, 1_000), b=(400, 1_000), c=(1, 9)), PARITY)
    assert reason.numbers["family"] == 3
    assert [(gap["group"], gap["level"]) for gap in reason.numbers["gaps"]] == [
        ("a", pytest.approx(0.05 / 3)), ("b", pytest.approx(0.05 / 3)),
    ]  # fmt: skip


def test_of_equally_large_gaps_of_a_group_the_first_is_listed():
    pairs = only_reason(selected(a=(500, 1_000), b=(500, 1_000), c=(480, 1_000)), replace(PARITY, against="groups"))
    assert [(gap["group"], gap["against"]) for gap in pairs.numbers["gaps"]] == [("c", "a"), ("a", "b")]


def test_the_level_and_the_intervals_are_those_that_were_asked_for():
    groups = selected(a=(80, 210), b=(100, 210))
    for intervals in (ONE_LOOK, ALWAYS_VALID):
        (gap,) = only_reason(groups, RULE, alpha=0.2, intervals=intervals).numbers["gaps"]
        low, high = intervals.ratio((80, 210), (100, 210), 0.2)
        assert (gap["low"], gap["high"], gap["level"]) == (low, high, 0.2)
        assert (gap["adjusted_low"], gap["adjusted_high"]) == (low, high)


def test_a_ratio_without_an_upper_end_is_told_as_json_takes_it():
    (gap,) = only_reason(selected(a=(0, 210), b=(1, 210)), RULE, alpha=1e-20, intervals=ALWAYS_VALID).numbers["gaps"]
    assert (gap["low"], gap["high"], gap["adjusted_high"]) == (0, None, None)


def test_groups_that_are_too_small_are_told_with_what_they_could_show_and_when_there_are_enough():
    groups = selected(a=(60, 199), b=(15, 50), c=(3, 10), d=(1, 4))
    each_two = only_reason(groups, replace(PARITY, against="groups"), weeks=2)
    assert each_two.text == (
        "no two groups of g have 200 independent rows to judge selection on: a 199, b 50, c 10 show a difference of 0.37 at "
        "best; 200 of g=b are wanted (8 weeks)"
    )
    assert each_two.outcome is Outcome.INCONCLUSIVE
    assert each_two.numbers["rows"] == {"a": 199, "b": 50, "c": 10, "d": 4}
    assert (each_two.numbers["weeks_wanted"], each_two.numbers["shows"]) == (8, pytest.approx(0.267, abs=0.001))
    to_whole = only_reason(groups, PARITY)
    assert to_whole.text.endswith("; 200 of g=a are wanted")
    assert to_whole.numbers["weeks_wanted"] is None


def test_what_small_groups_could_show_is_a_ratio_where_that_is_limited():
    few = only_reason(selected(a=(60, 199), b=(15, 50), c=(0, 3)), RULE)
    assert few.text == (
        "no two groups of g have 200 independent rows to judge selection_ratio on and a selection: a 199, b 50, c 3 show a "
        "ratio of 0.00 at best; 200 of g=b are wanted"
    )
    # Of the three largest groups none was selected, so that a fourth one is the only one to hold them against.
    rare = only_reason(selected(a=(0, 150), b=(0, 140), c=(0, 130), d=(1, 2)), RULE)
    assert rare.text.startswith(
        "no two groups of g have 200 independent rows to judge selection_ratio on and a selection: a 150, b 140, c 130"
    )


def test_an_inconclusive_gap_says_how_many_weeks_it_takes_and_keeps_the_numbers():
    groups, policy = selected(a=(80, 210), b=(100, 210)), replace(PARITY, selection_difference=0.04)
    told = only_reason(groups, policy, weeks=3)
    assert told.text.endswith("this one takes about 20,000 rows (290 weeks)")
    assert told.numbers["weeks_wanted"] == told.numbers["rows_wanted"] / 70
    assert told.numbers.keys() == {"limit", "family", "shown", "gaps", "shows", "rows_wanted", "weeks_wanted"}


def test_rows_without_a_group_can_be_left_out():
    groups = selected(a=(400, 1_000), b=(400, 1_000), **{"(missing)": (900, 1_000)})
    assert judge("g", groups, PARITY).outcome is Outcome.FAIL
    left_out = only_reason(groups, replace(PARITY, missing=False))
    assert (left_out.outcome, left_out.numbers["family"]) == (Outcome.PASS, 2)
    assert left_out.text == "selection of g=a is 40.0%, of all 40.0%: 0.000 [-0.024, 0.024], limit 0.1"


def test_a_gap_in_few_units_is_no_longer_shown():
    units = np.repeat(np.arange(40), 50)
    names = np.where(units < 20, "a", "b")
    # Each unit is decided all alike, 7 of 20 against 13 of 20: 40 units are all that is known.
    decided = np.repeat(np.r_[np.arange(20) < 7, np.arange(20) < 13], 50)
    rows = judge("g", count(names.tolist(), decided, np.full(2_000, np.nan)), PARITY)
    by_unit = judge("g", count(names.tolist(), decided, np.full(2_000, np.nan), units), replace(PARITY, minimum=10))
    assert rows.outcome is Outcome.FAIL
    assert by_unit.outcome is Outcome.INCONCLUSIVE
    (first, *_) = by_unit.reasons[0].numbers["gaps"]
    assert (first["trials"], first["effective"]) == (1_000, pytest.approx(20))
