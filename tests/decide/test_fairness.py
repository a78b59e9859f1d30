import numpy as np
import pytest
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    demographic_parity_ratio,
    equalized_odds_difference,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)

from everloop.decide.fairness import GroupCounts, count, gaps, judge, selection_ratio
from everloop.decide.policy import FairnessPolicy
from everloop.decide.verdict import Outcome

RNG = np.random.default_rng(9)
GROUPS = RNG.choice(["a", "b", "c"], p=[0.6, 0.3, 0.1], size=4000)
LABELS = (RNG.random(4000) < 0.3).astype(float)
DECISIONS = RNG.random(4000) < np.where(GROUPS == "b", 0.45, 0.3) + 0.3 * LABELS
COUNTS = count(GROUPS.tolist(), DECISIONS, LABELS)


@pytest.mark.parametrize(
    ("rate", "metric"), [("selection", selection_rate), ("tpr", true_positive_rate), ("fpr", false_positive_rate)]
)
def test_rates_and_gaps_equal_fairlearn(rate, metric):
    frame = MetricFrame(metrics=metric, y_true=LABELS, y_pred=DECISIONS, sensitive_features=GROUPS)
    found = {gap.group: gap for gap in gaps(COUNTS, rate, 1)}
    assert {name: gap.rate for name, gap in found.items()} == pytest.approx(frame.by_group.to_dict())
    assert max(abs(gap.difference) for gap in found.values()) == pytest.approx(frame.difference(method="to_overall"))
    assert all(gap.low <= gap.difference <= gap.high for gap in found.values())


def test_summaries_equal_fairlearn():
    kinds = {"y_true": LABELS, "y_pred": DECISIONS, "sensitive_features": GROUPS}
    largest = {rate: max(abs(g.difference) for g in gaps(COUNTS, rate, 1)) for rate in ("selection", "tpr", "fpr")}
    assert largest["selection"] == pytest.approx(demographic_parity_difference(**kinds, method="to_overall"))
    assert max(largest["tpr"], largest["fpr"]) == pytest.approx(equalized_odds_difference(**kinds, method="to_overall"))
    assert selection_ratio(COUNTS, 1) == pytest.approx(demographic_parity_ratio(**kinds))


def test_counts_of_two_windows_add_up():
    first, second = (count(GROUPS[part].tolist(), DECISIONS[part], LABELS[part]) for part in (slice(0, 900), slice(900, None)))
    assert {name: first[name] + second[name] for name in first} == COUNTS


def test_rows_without_label_count_for_selection_only():
    counts = count(["a", None], np.array([True, False]), np.array([np.nan, 1.0]))
    assert counts["a"] == GroupCounts(rows=1, selected=1)
    assert counts["(missing)"] == GroupCounts(rows=1, positives=1)


def test_the_interval_of_a_gap_to_the_whole_covers():
    covered = 0
    for _ in range(400):
        group = RNG.choice(["a", "b"], p=[0.7, 0.3], size=800)
        decided = RNG.random(800) < np.where(group == "b", 0.5, 0.4)
        gap = next(g for g in gaps(count(group.tolist(), decided, np.full(800, np.nan)), "selection", 1) if g.group == "b")
        share = (group == "b").mean()
        covered += gap.low <= (1 - share) * 0.1 <= gap.high
    assert covered / 400 == pytest.approx(0.95, abs=0.03)


def test_a_shown_gap_fails_a_small_one_passes_and_small_groups_are_not_judged():
    strict = FairnessPolicy(columns=("g",), minimum=200, selection_difference=0.03, error_rate_difference=None)
    assert judge("g", COUNTS, strict).outcome is Outcome.FAIL
    loose = FairnessPolicy(columns=("g",), minimum=200, selection_difference=0.3, error_rate_difference=0.3)
    assert judge("g", COUNTS, loose).outcome is Outcome.PASS
    demanding = FairnessPolicy(columns=("g",), minimum=5000, selection_difference=0.03)
    assert judge("g", COUNTS, demanding).outcome is Outcome.INCONCLUSIVE


def test_a_gap_that_may_be_chance_is_inconclusive():
    counts = {"a": GroupCounts(rows=210, selected=80), "b": GroupCounts(rows=210, selected=100)}
    policy = FairnessPolicy(columns=("g",), selection_difference=0.04, error_rate_difference=None)
    assert judge("g", counts, policy).outcome is Outcome.INCONCLUSIVE


def test_four_fifths_rule():
    policy = FairnessPolicy(columns=("g",), selection_ratio=0.8, error_rate_difference=None)
    assert (
        judge("g", {"a": GroupCounts(rows=300, selected=150), "b": GroupCounts(rows=300, selected=100)}, policy).outcome
        is Outcome.FAIL
    )
    assert judge("g", {"a": GroupCounts(rows=300, selected=150), "b": GroupCounts(rows=300, selected=130)}, policy).passed


def test_without_a_limit_or_rows_nothing_passes():
    assert judge("g", COUNTS, FairnessPolicy(columns=("g",), error_rate_difference=None)).outcome is Outcome.INCONCLUSIVE
    assert (
        judge("g", {}, FairnessPolicy(columns=("g",), selection_difference=1, selection_ratio=0.1)).outcome
        is Outcome.INCONCLUSIVE
    )
