import math

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from sklearn.metrics import accuracy_score, precision_score

from everloop.decide.fairness import ALWAYS_VALID, ONE_LOOK, Gap, GroupCounts, count, gaps
from everloop.decide.fairness.gaps import family
from everloop.decide.statistics.clusters import Clusters, correlation
from everloop.decide.statistics.intervals import rate_sequence

RNG = np.random.default_rng(9)
GROUPS = RNG.choice(["a", "b", "c"], p=[0.6, 0.3, 0.1], size=4000)
LABELS = (RNG.random(4000) < 0.3).astype(float)
DECISIONS = RNG.random(4000) < np.where(GROUPS == "b", 0.45, 0.3) + 0.3 * LABELS
COUNTS = count(GROUPS.tolist(), DECISIONS, LABELS)
METRICS = {
    "selection": selection_rate,
    "tpr": true_positive_rate,
    "fpr": false_positive_rate,
    "precision": precision_score,
    "accuracy": accuracy_score,
}


@pytest.mark.parametrize("rate", METRICS)
@pytest.mark.parametrize(("against", "method"), [("whole", "to_overall"), ("groups", "between_groups")])
def test_rates_differences_and_ratios_equal_fairlearn(rate, against, method):
    frame = MetricFrame(metrics=METRICS[rate], y_true=LABELS, y_pred=DECISIONS, sensitive_features=GROUPS)
    found = gaps(COUNTS, rate, 1, against)
    rates = {gap.group: gap.rate for gap in found} | {gap.against: gap.other for gap in found if against == "groups"}
    assert rates == pytest.approx(frame.by_group.to_dict(), abs=1e-12)
    assert max(abs(gap.difference) for gap in found) == pytest.approx(frame.difference(method=method), abs=1e-12)
    ratios = [min(gap.rate / gap.other, gap.other / gap.rate) for gap in found]
    assert min(ratios) == pytest.approx(frame.ratio(method=method), abs=1e-12)


@pytest.mark.parametrize("against", ["whole", "groups"])
def test_intervals_hold_the_value_and_those_for_every_look_are_wider(against):
    for gap in gaps(COUNTS, "selection", 1, against):
        once, always = gap.span(0.05), gap.span(0.05, ALWAYS_VALID)
        assert always.low < once.low <= gap.difference <= once.high < always.high


def test_the_interval_of_a_gap_to_the_whole_covers():
    covered = 0
    for _ in range(400):
        group = RNG.choice(["a", "b"], p=[0.7, 0.3], size=800)
        decided = RNG.random(800) < np.where(group == "b", 0.5, 0.4)
        gap = next(g for g in gaps(count(group.tolist(), decided, np.full(800, np.nan)), "selection", 1) if g.group == "b")
        share = (group == "b").mean()
        covered += gap.span(0.05).low <= (1 - share) * 0.1 <= gap.span(0.05).high
    assert covered / 400 == pytest.approx(0.95, abs=0.03)


def test_the_interval_for_every_look_is_seldom_wrong_at_any_of_many():
    wrong = 0
    for _ in range(30):
        group = RNG.random(1_500) < 0.4
        decided = (RNG.random(1_500) < np.where(group, 0.5, 0.4)).astype(int)
        looks = range(100, 1_501, 100)
        spans = [ALWAYS_VALID.difference(*counted(group[:n], decided[:n]), 0.1) for n in looks]
        wrong += any(not span.low <= 0.1 <= span.high for span in spans)
    assert wrong / 30 <= 0.1


def counted(group, decided):
    return (int(decided[group].sum()), int(group.sum())), (int(decided[~group].sum()), int((~group).sum()))


def test_a_ratio_has_an_interval_for_every_look_too():
    low, high = ALWAYS_VALID.ratio((300, 1_000), (500, 1_000), 0.05)
    once = ONE_LOOK.ratio((300, 1_000), (500, 1_000), 0.05)
    assert low < once.low < 0.6 < once.high < high
    assert ALWAYS_VALID.ratio((1, 2), (0, 2), 0.05).high == math.inf


def test_small_groups_and_a_group_that_is_the_whole_have_no_gap():
    counts = {"a": GroupCounts(rows=300, selected=90), "b": GroupCounts(rows=20, selected=3)}
    assert [gap.group for gap in gaps(counts, "selection", 200)] == ["a"]
    assert gaps(counts, "selection", 200, "groups") == []
    assert gaps({"a": counts["a"]}, "selection", 1) == []


def test_an_interval_for_every_look_is_what_two_rates_in_their_own_sequences_can_differ_by():
    first, second = (30, 100), (500, 1_000)
    ours, theirs = rate_sequence(*first, 0.02), rate_sequence(*second, 0.02)
    assert ALWAYS_VALID.difference(first, second, 0.04) == (ours.low - theirs.high, ours.high - theirs.low)
    assert ALWAYS_VALID.ratio(first, second, 0.04) == (ours.low / theirs.high, ours.high / theirs.low)


def test_a_group_of_just_the_minimum_is_judged_and_one_without_rows_never():
    counts = {"a": GroupCounts(rows=200, selected=90), "b": GroupCounts(rows=1), "c": GroupCounts()}
    assert [(gap.group, gap.against) for gap in gaps(counts, "selection", 200)] == [("a", "whole")]
    assert [gap.group for gap in gaps(counts, "selection", 0)] == ["a", "b"]


def test_of_two_groups_the_one_with_the_lower_rate_comes_first_and_of_equal_ones_the_first_by_name():
    rates = {"d": (1, 4), "a": (2, 8), "b": (9, 10), "c": (1, 100)}
    found = gaps({name: GroupCounts(selected=hits, rows=rows) for name, (hits, rows) in rates.items()}, "selection", 1, "groups")
    assert [(gap.group, gap.against) for gap in found] == [
        ("c", "a"), ("c", "d"), ("c", "b"), ("a", "d"), ("a", "b"), ("d", "b"),
    ]  # fmt: skip


def test_the_family_is_of_all_groups_that_were_seen_few_rows_or_not():
    seen = {name: GroupCounts(rows=rows, positives=1) for name, rows in (("a", 900), ("b", 1), ("c", 7), ("d", 2), ("e", 0))}
    assert [family(seen, "selection"), family(seen, "selection", "groups")] == [4, 6]
    assert [family(seen, "tpr"), family(seen, "fpr")] == [5, 0]


def in_units(groups: int, units: int, rows: int, spread: float, rng) -> dict[str, GroupCounts]:
    """Groups of alike rates whose units each have a rate of their own."""
    chances = np.clip(rng.normal(0.4, spread, (groups, units)), 0, 1)
    names = np.repeat([f"g{i}" for i in range(groups)], units * rows)
    decided = rng.random(groups * units * rows) < np.repeat(chances.ravel(), rows)
    return count(names.tolist(), decided, np.full(len(names), np.nan), np.repeat(np.arange(groups * units), rows))


@pytest.mark.parametrize("against", ["whole", "groups"])
def test_rows_of_units_that_move_together_are_divided_by_their_design_effect(against):
    counts = in_units(3, 60, 20, 0.2, np.random.default_rng(1))
    clusters = {name: one.clusters("selection") for name, one in counts.items()}
    alike = correlation(list(clusters.values()))
    assert 0.05 < alike < 0.3
    for gap in gaps(counts, "selection", 1, against):
        first = clusters[gap.group]
        second = (
            clusters[gap.against] if against == "groups" else sum((c for n, c in clusters.items() if n != gap.group), Clusters())
        )
        assert gap.effects == pytest.approx((first.design_effect(alike), second.design_effect(alike)))
        assert (gap.ours, gap.theirs) == ((first.hits, first.trials), (second.hits, second.trials))
        assert gap.effective == (pytest.approx(first.effective(alike)), pytest.approx(second.effective(alike)))
        assert gap.sizes == (gap.effective[0][1], gap.effective[1][1])
        plain = Gap(group=gap.group, against=gap.against, ours=gap.ours, theirs=gap.theirs, share=gap.share)
        for intervals in (ONE_LOOK, ALWAYS_VALID):
            wide, narrow = gap.span(0.05, intervals), plain.span(0.05, intervals)
            assert wide.low < narrow.low < narrow.high < wide.high
            assert gap.span_of_ratio(0.05, intervals).low < plain.span_of_ratio(0.05, intervals).low
        assert gap.difference == plain.difference


def test_an_interval_of_rows_in_units_covers_where_that_of_rows_alone_does_not():
    rng, covered, alone = np.random.default_rng(2), 0, 0
    for _ in range(300):
        (gap,) = gaps(in_units(2, 25, 20, 0.15, rng), "selection", 1, "groups")
        plain = Gap(group=gap.group, against=gap.against, ours=gap.ours, theirs=gap.theirs)
        covered += gap.span(0.05).low <= 0 <= gap.span(0.05).high
        alone += plain.span(0.05).low <= 0 <= plain.span(0.05).high
    assert covered / 300 >= 0.92
    assert alone / 300 <= 0.80


def test_a_group_of_one_unit_is_worth_a_row():
    counts = count(
        ["a"] * 300 + ["b"] * 300, RNG.random(600) < 0.4, np.full(600, np.nan), np.r_[np.zeros(300), np.arange(1, 301)]
    )
    assert [gap.group for gap in gaps(counts, "selection", 2)] == ["b"]
    (first, second) = gaps(counts, "selection", 1)
    assert (first.group, first.sizes[0], second.sizes[0]) == ("a", 1, 300)


def test_the_minimum_is_of_independent_rows():
    counts = in_units(2, 60, 20, 0.2, np.random.default_rng(3))
    worth = min(gap.sizes[0] for gap in gaps(counts, "selection", 1))
    assert worth < 600
    assert len(gaps(counts, "selection", math.floor(worth))) == 2
    assert len(gaps(counts, "selection", math.ceil(worth))) < 2
