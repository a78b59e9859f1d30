"""What a verdict on groups says, in words and in numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from everloop.decide.fairness import ALWAYS_VALID, ONE_LOOK, GroupCounts, judge
from everloop.decide.policy import FairnessPolicy
from everloop.decide.statistics.intervals import newcombe
from everloop.decide.verdict import Outcome, Reason

PARITY = FairnessPolicy(columns=("g",), selection_difference=0.1, error_rate_difference=None)
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
    assert chance.text == "selection of g=a is 38.1%, of all 42.9%: -0.048 [-0.100, 0.006], limit 0.04"
    small = only_reason(selected(a=(500, 1_000), b=(480, 1_000)), PARITY)
    assert (small.outcome, small.numbers["shown"]) == (Outcome.PASS, 0)
    assert [gap["group"] for gap in small.numbers["gaps"]] == ["a", "b"]


def test_one_gap_over_its_limit_keeps_all_from_passing():
    groups = selected(a=(800, 2_000), b=(400, 1_000), c=(112, 220))
    assert only_reason(groups, PARITY).outcome is Outcome.INCONCLUSIVE
    assert only_reason(groups, replace(PARITY, minimum=221)).outcome is Outcome.PASS


def test_why_nothing_is_judged_is_told():
    few = only_reason(selected(a=(1, 199), b=(150, 199)), PARITY)
    assert few == Reason(
        "fairness.g.selection",
        Outcome.INCONCLUSIVE,
        "no two groups of g have 200 rows to judge selection on",
        {"limit": 0.1, "minimum": 200},
    )
    nobody = only_reason(selected(a=(0, 900), b=(0, 900)), RULE)
    assert nobody.text == "no two groups of g have 200 rows to judge selection_ratio on and a selection"
    unlimited = only_reason(selected(a=(1, 300), b=(250, 300)), FairnessPolicy(columns=("g",), error_rate_difference=None))
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
