import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.fairness import MISSING, RATES, GroupCounts, considered, count, merge
from everloop.decide.policy import FairnessPolicy
from everloop.decide.statistics.clusters import Clusters

UNITS = st.dictionaries(
    st.sampled_from(RATES),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=3).map(
        lambda units: Clusters.of([n for n, _ in units], [min(n, x) for n, x in units])
    ),
)
COUNTS = st.builds(
    GroupCounts,
    rows=st.integers(0, 9), selected=st.integers(0, 9), positives=st.integers(0, 9),
    true_positives=st.integers(0, 9), units=UNITS,
)  # fmt: skip
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


RNG = np.random.default_rng(16)
DRAWN, LABELS = RNG.random(500) < 0.4, np.where(RNG.random(500) < 0.2, np.nan, RNG.random(500) < 0.3)
NAMES, UNITS_OF = RNG.choice(["a", "b"], 500).tolist(), RNG.integers(0, 40, 500)


@pytest.mark.parametrize("rate", [*RATES, "rejection"])
def test_sums_by_unit_are_those_of_each_units_own_trials_and_successes(rate):
    counts = count(NAMES, DRAWN, LABELS, UNITS_OF)
    ours = np.array(NAMES) == "a"
    parts = [ours & (unit == UNITS_OF) for unit in set(UNITS_OF[ours].tolist())]
    alone = [count(["a"] * int(rows.sum()), DRAWN[rows], LABELS[rows])["a"].rate(rate) for rows in parts]
    units = [(hits, trials) for hits, trials in alone if trials]
    wanted = Clusters.of([trials for _, trials in units], [hits for hits, _ in units])
    assert counts["a"].clusters(rate) == wanted
    assert (wanted.hits, wanted.trials) == counts["a"].rate(rate)


@pytest.mark.parametrize("rate", [*RATES, "rejection"])
def test_without_units_each_row_is_one(rate):
    counts = count(NAMES, DRAWN, LABELS)["a"]
    hits, trials = counts.rate(rate)
    assert counts.units == {}
    assert counts.clusters(rate) == Clusters.independent(trials, hits)
    each = count(NAMES, DRAWN, LABELS, np.arange(500))["a"]
    assert each.clusters(rate) == counts.clusters(rate)
    assert each.rate(rate) == (hits, trials)


def test_units_may_be_named_and_their_names_do_not_matter():
    named = np.array([f"entity {unit:03}" for unit in UNITS_OF])
    assert count(NAMES, DRAWN, LABELS, named) == count(NAMES, DRAWN, LABELS, UNITS_OF)


def test_windows_of_units_add_up_and_what_was_counted_before_adds_as_independent_rows():
    first, second = (count(NAMES, DRAWN, LABELS, UNITS_OF + shift)["a"] for shift in (0, 100))
    together = merge({"a": first}, {"a": second})["a"]
    assert together.clusters("tpr") == first.clusters("tpr") + second.clusters("tpr")
    old = count(NAMES, DRAWN, LABELS)["a"]
    mixed = merge({"a": first}, {"a": old})["a"]
    assert mixed.clusters("tpr") == first.clusters("tpr") + old.clusters("tpr")
    assert mixed.rows == 2 * old.rows


def test_counts_travel_as_json_and_those_written_before_units_are_read():
    counts = count(NAMES, DRAWN, LABELS, UNITS_OF)
    sent = msgspec.json.encode(counts)
    assert msgspec.json.decode(sent, type=dict[str, GroupCounts]) == counts
    before = {"rows": 9, "selected": 5, "positives": 4, "true_positives": 3, "negatives": 3, "false_positives": 1}
    assert msgspec.convert({"a": before}, dict[str, GroupCounts]) == {"a": GroupCounts(**before)}


def test_rows_of_no_group_are_compared_unless_the_policy_leaves_them_out():
    counts = {MISSING: GroupCounts(rows=3), "a": GroupCounts(rows=2)}
    assert considered(counts, FairnessPolicy()) == counts
    assert considered(counts, FairnessPolicy(missing=False)) == {"a": GroupCounts(rows=2)}
