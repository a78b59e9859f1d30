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
