import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.decide.watch import concept
from everloop.decide.watch.sketch import bins, cells, count, merge, outside

NUMERIC = {"kind": "numeric", "edges": [-1.0, 0.0, 0.5, 2.0]}
CARRIERS = {"kind": "category", "values": ["AA", "B6", "UA"]}

NUMBERS = st.one_of(st.none(), st.just(float("nan")), st.floats(-5, 5, width=32))
NAMES = st.one_of(st.none(), st.sampled_from(["AA", "B6", "UA", "ZZ"]))


def test_values_fall_into_the_bins_of_the_reference():
    column = {"kind": "numeric", "edges": [1.0, 2.0]}
    assert count(column, [0.5, 1.0, 1.5, 2.0, 9.0, None, float("nan")]) == {"counts": [2, 2, 1], "missing": 2}
    assert count(CARRIERS, ["AA", "ZZ", None, "UA"]) == {"counts": [1, 0, 1], "other": 1, "missing": 1}


def test_numbers_beyond_the_fences_are_counted_beside_their_bins():
    column = NUMERIC | {"fences": [-2.0, 2.5]}
    assert count(column, [-2.5, -2.0, 0.2, 2.5, 3.0, None]) == {"counts": [2, 0, 1, 0, 2], "missing": 1, "outside": 2}
    assert outside([0.0, 1.0], np.array([-1, 0, 1, 2, np.nan])).tolist() == [True, False, False, True, False]
    whole = count(column, [-9.0, 0.0, 9.0])
    assert merge(whole, whole)["outside"] == 4


def test_bins_are_closed_above():
    assert bins([1.0, 2.0], np.array([0.5, 1.0, 1.5, 2.0, 9.0])).tolist() == [0, 0, 1, 1, 2]


def test_a_number_is_compared_as_the_float32_that_the_model_sees():
    edge = float(np.float32(0.1))
    assert count({"edges": [edge]}, [edge + 1e-12, edge + 1e-7, 0.1]) == {"counts": [2, 1], "missing": 0}


def test_bins_and_values_that_nobody_had_are_counted_as_none():
    assert count(NUMERIC, [-3]) == {"counts": [1, 0, 0, 0, 0], "missing": 0}
    assert count(NUMERIC | {"edges": []}, [1.0, None]) == {"counts": [1], "missing": 1}
    assert count(CARRIERS, ["AA"]) == {"counts": [1, 0, 0], "other": 0, "missing": 0}
    assert count(CARRIERS, ["ZZ"]) == {"counts": [0, 0, 0], "other": 1, "missing": 0}


def test_counts_over_different_bins_do_not_merge():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        merge(count(NUMERIC, [0.0]), count({"edges": [0.0]}, [0.0]))


def test_the_cells_are_the_bins_the_unknown_values_and_the_missing_ones():
    found = cells({"counts": [3, 4], "other": 2, "missing": 1})
    assert (found.tolist(), found.dtype) == ([3, 4, 2, 1], np.float64)
    assert cells({"counts": [3, 4]}).tolist() == [3, 4, 0, 0]


def folded(sketches, order, join):
    """The sketches joined in any order, and as a tree or one after another."""
    waiting = [sketches[place] for place in order]
    while len(waiting) > 1:
        first, second = waiting.pop(0), waiting.pop(0)
        waiting.insert(len(waiting) // 2, join(first, second))
    return waiting[0]


@settings(max_examples=40)
@given(st.lists(st.lists(NUMBERS, max_size=8), min_size=1), st.lists(st.lists(NAMES, max_size=8), min_size=1), st.data())
def test_windows_merged_in_any_order_equal_the_count_of_all_rows(numbers, names, data):
    for column, windows in ((NUMERIC, numbers), (CARRIERS, names)):
        order = data.draw(st.permutations(range(len(windows))))
        everything = [value for window in windows for value in window]
        assert folded([count(column, window) for window in windows], order, merge) == count(column, everything)


ROWS = st.tuples(st.booleans(), st.floats(0, 1), st.integers(0, 3))


@settings(max_examples=60)
@given(st.lists(st.lists(ROWS, max_size=8), min_size=1, max_size=6), st.data())
def test_residuals_merged_in_any_order_equal_those_of_all_rows(windows, data):
    def sketch(rows):
        labels, scores, hours = (np.array([row[i] for row in rows], kind) for i, kind in ((0, bool), (1, float), (2, int)))
        return concept.residuals([0.2, 0.6], labels, scores, hours)

    order = data.draw(st.permutations(range(len(windows))))
    merged = folded([sketch(window) for window in windows], order, concept.merge)
    whole = sketch([(y, p, 4 * i + hour) for i, window in enumerate(windows) for y, p, hour in window])
    for name in whole:
        np.testing.assert_allclose(merged[name], whole[name], atol=1e-9)
