from __future__ import annotations

from dataclasses import replace

import pytest

from everloop.decide.fairness import ALWAYS_VALID, ONE_LOOK, Gap, GroupCounts
from everloop.decide.fairness.limits import Limit, RatioLimit, limits
from everloop.decide.policy import FairnessPolicy
from everloop.decide.statistics.intervals import Range

COUNTS = {
    "a": GroupCounts(rows=1_000, selected=500, positives=400, true_positives=300, negatives=600, false_positives=200),
    "b": GroupCounts(rows=1_000, selected=300, positives=400, true_positives=200, negatives=600, false_positives=100),
    "c": GroupCounts(rows=10, selected=9, positives=5, true_positives=5, negatives=5, false_positives=4),
}
GAP = Gap(group="b", against="a", ours=(300, 1_000), theirs=(500, 1_000))


def found(**policy) -> dict[str, Limit]:
    return {one.name: one for one in limits(COUNTS, FairnessPolicy(**policy))}


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        ({}, set()),
        ({"selection_difference": 0.1}, {"selection"}),
        ({"opportunity_difference": 0.1}, {"tpr"}),
        ({"error_rate_difference": 0.1}, {"tpr", "fpr"}),
        ({"selection_ratio": 0.8}, {"selection_ratio"}),
    ],
)
def test_each_criterion_judges_its_own_rates(policy, names) -> None:
    assert set(found(**policy)) == names


def test_the_tighter_limit_on_true_positives_stands() -> None:
    assert found(opportunity_difference=0.1, error_rate_difference=0.3)["tpr"].limit == 0.1
    assert found(opportunity_difference=0.3, error_rate_difference=0.1)["tpr"].limit == 0.1


def test_groups_with_few_rows_are_not_judged_and_count_in_the_family() -> None:
    to_whole = found(selection_difference=0.1)["selection"]
    assert ({gap.group for gap in to_whole.gaps}, to_whole.family) == ({"a", "b"}, 3)
    each_two = found(selection_difference=0.1, against="groups")["selection"]
    assert ([(gap.group, gap.against) for gap in each_two.gaps], each_two.family) == ([("b", "a")], 3)


def test_the_family_of_four_groups_is_four_against_the_whole_and_six_against_each_other() -> None:
    four = COUNTS | {"d": GroupCounts(rows=500, selected=200)}
    policies = [FairnessPolicy(selection_difference=0.1, against=name) for name in ("whole", "groups")]
    policies.append(FairnessPolicy.four_fifths("sex"))
    assert [limit.family for policy in policies for limit in limits(four, policy)] == [4, 6, 6]


def test_a_ratio_is_of_what_people_want() -> None:
    (wanted,) = found(selection_ratio=0.8)["selection_ratio"].gaps
    assert (wanted.group, wanted.against, wanted.rate) == ("b", "a", 0.3)
    (unwanted,) = found(selection_ratio=0.8, favourable=False)["selection_ratio"].gaps
    assert (unwanted.group, unwanted.against, unwanted.rate) == ("a", "b", 0.5)


def test_a_difference_is_shown_beyond_its_limit_on_either_side() -> None:
    limit = Limit(name="tpr", limit=0.1, gaps=(), family=1)
    assert [limit.shown(Range(*ends)) for ends in ((0.11, 0.3), (-0.3, -0.11), (0.1, 0.3), (-0.3, -0.1), (-0.05, 0.05))] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert limit.span(GAP, 0.05, ONE_LOOK) == GAP.span(0.05)
    assert limit.span(GAP, 0.05, ALWAYS_VALID) == GAP.span(0.05, ALWAYS_VALID)
    assert (limit.value(GAP), limit.size(GAP)) == (pytest.approx(-0.2), pytest.approx(0.2))
    assert not limit.allows(GAP)
    assert Limit(name="tpr", limit=0.2, gaps=(), family=1).allows(GAP)
    assert limit.tell("sex", GAP) == "tpr of sex=b is 30.0%, of sex=a 50.0%"


def test_a_ratio_is_shown_below_its_limit_only() -> None:
    limit = RatioLimit(name="selection_ratio", limit=0.8, gaps=(), family=1)
    assert [limit.shown(Range(*ends)) for ends in ((0.2, 0.79), (0.2, 0.8), (0.9, 2.0))] == [True, False, False]
    assert limit.span(GAP, 0.05, ONE_LOOK) == ONE_LOOK.ratio(GAP.ours, GAP.theirs, 0.05)
    assert limit.span(GAP, 0.05, ALWAYS_VALID) == ALWAYS_VALID.ratio(GAP.ours, GAP.theirs, 0.05)
    assert (limit.value(GAP), limit.size(GAP)) == (pytest.approx(0.6), pytest.approx(-0.6))
    assert not limit.allows(GAP)
    assert RatioLimit(name="selection_ratio", limit=0.6, gaps=(), family=1).allows(GAP)
    assert limit.tell("sex", GAP) == "sex=b is selected 0.60 times as often as sex=a"


def test_a_group_that_is_told_against_all_rows_says_so() -> None:
    limit = found(selection_difference=0.1)["selection"]
    assert limit.tell("sex", limit.gaps[1]) == "selection of sex=b is 30.0%, of all 40.2%"


def test_a_ratio_compares_every_two_groups_of_enough_rows_of_which_the_higher_is_selected_at_all() -> None:
    ratio = found(selection_ratio=0.8)["selection_ratio"]
    assert (ratio.limit, ratio.family, ratio.needs, found(selection_difference=0.1)["selection"].needs) == (
        0.8, 3, " and a selection", "",
    )  # fmt: skip
    nobody = {name: GroupCounts(rows=300) for name in "abc"}
    rule = FairnessPolicy.four_fifths("sex")
    assert [one.gaps for one in limits(nobody, rule)] == [[]]
    nobody["c"] = GroupCounts(rows=300, selected=1)
    assert [(gap.group, gap.against) for one in limits(nobody, rule) for gap in one.gaps] == [("a", "c"), ("b", "c")]
    assert [len(one.gaps) for one in limits(COUNTS, replace(rule, minimum=1))] == [3]


def test_a_rate_has_the_limit_and_the_rows_of_its_own() -> None:
    both = found(selection_difference=0.1, error_rate_difference=0.3, minimum=401)
    assert {name: (one.limit, [gap.group for gap in one.gaps]) for name, one in both.items()} == {
        "selection": (0.1, ["a", "b"]), "tpr": (0.3, []), "fpr": (0.3, ["a", "b"]),
    }  # fmt: skip
    assert [gap.theirs for gap in both["fpr"].gaps] == [(104, 605), (204, 605)]


def test_how_far_a_difference_lies_beyond_its_limit_and_its_interval_reaches_towards_it() -> None:
    limit = Limit(name="tpr", limit=0.15, gaps=(), family=1)
    assert limit.beyond(GAP) == pytest.approx(0.05)
    assert limit.reach(GAP, Range(-0.3, -0.12)) == pytest.approx(0.08)
    other = Gap(group="a", against="b", ours=GAP.theirs, theirs=GAP.ours)
    assert limit.reach(other, Range(0.12, 0.3)) == pytest.approx(0.08)
    assert limit.at(0.05) == "a difference of 0.20"


def test_how_far_a_ratio_lies_below_its_limit_and_its_interval_reaches_above_it() -> None:
    limit = RatioLimit(name="selection_ratio", limit=0.8, gaps=(), family=1)
    assert limit.beyond(GAP) == pytest.approx(0.2)
    assert limit.reach(GAP, Range(0.5, 0.7)) == pytest.approx(0.1)
    assert (limit.at(0.05), limit.at(0.9)) == ("a ratio of 0.75", "a ratio of 0.00")


def test_what_is_seen_has_no_minimum() -> None:
    few = found(selection_difference=0.1, selection_ratio=0.8, error_rate_difference=0.1, minimum=5_000)
    assert [one.gaps for one in few.values()] == [[]] * 4
    assert {name: len(one.seen) for name, one in few.items()} == {"selection": 3, "tpr": 3, "fpr": 3, "selection_ratio": 3}


def test_a_ratio_in_units_has_the_interval_of_effective_counts() -> None:
    limit = RatioLimit(name="selection_ratio", limit=0.8, gaps=(), family=1)
    in_units = replace(GAP, effects=(2.0, 4.0))
    assert limit.span(in_units, 0.05, ONE_LOOK) == ONE_LOOK.ratio((150, 500), (125, 250), 0.05)
