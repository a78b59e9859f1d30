import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.fairness import GroupCounts, count, merge

COUNTS = st.builds(
    GroupCounts, rows=st.integers(0, 9), selected=st.integers(0, 9), positives=st.integers(0, 9), true_positives=st.integers(0, 9)
)
WINDOWS = st.lists(st.dictionaries(st.sampled_from("abc"), COUNTS), min_size=1, max_size=5)


@given(WINDOWS, st.randoms())
def test_windows_add_up_in_any_order_and_any_grouping(windows, random):
    shuffled = random.sample(windows, len(windows))
    assert merge(*shuffled) == merge(*windows) == merge(windows[0], merge(*windows[1:]))


def test_counts_of_two_windows_are_those_of_both():
    rng = np.random.default_rng(9)
    groups, decisions, labels = rng.choice(["a", "b"], 400), rng.random(400) < 0.4, (rng.random(400) < 0.3).astype(float)
    first, second = (count(groups[part].tolist(), decisions[part], labels[part]) for part in (slice(0, 90), slice(90, None)))
    assert merge(first, second) == count(groups.tolist(), decisions, labels)


def test_rows_without_label_count_for_selection_only():
    counts = count(["a", None], np.array([True, False]), np.array([np.nan, 1.0]))
    assert counts["a"] == GroupCounts(rows=1, selected=1)
    assert counts["(missing)"] == GroupCounts(rows=1, positives=1)


def test_every_count_and_every_rate_by_hand():
    decisions = np.array([True, True, True, True, True, False, False, False, False])
    labels = np.array([1, 1, 1, 0, np.nan, 1, 0, 0, np.nan])
    counts = count([1] * 9, decisions, labels)
    assert counts == {
        "1": GroupCounts(rows=9, selected=5, positives=4, true_positives=3, negatives=3, false_positives=1),
    }  # fmt: skip
    names = ("selection", "rejection", "tpr", "fpr", "precision", "accuracy")
    assert {name: counts["1"].rate(name) for name in names} == {
        "selection": (5, 9), "rejection": (4, 9), "tpr": (3, 4), "fpr": (1, 3), "precision": (3, 4), "accuracy": (5, 7),
    }  # fmt: skip


def test_groups_are_plain_text_in_order_of_name():
    counts = count(["b", None, 7, "b"], np.ones(4, bool), np.ones(4))
    assert [(name, type(name), one.rows) for name, one in counts.items()] == [("(missing)", str, 1), ("7", str, 1), ("b", str, 2)]
    assert list(merge({"b": GroupCounts()}, {"a": GroupCounts(rows=3)})) == ["a", "b"]
