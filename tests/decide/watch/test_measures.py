import numpy as np
import pytest

from everloop.decide.policy import DriftPolicy
from everloop.decide.watch.distances import jensen_shannon, stability, wasserstein
from everloop.decide.watch.measures import Counted, limits, measured

NUMERIC = {
    "kind": "numeric",
    "edges": [0.0, 1.0, 3.0],
    "counts": [40, 30, 20, 10],
    "missing": 25,
    "fences": [-9, 9],
    "outside": 5,
}
WINDOW = {"counts": [5, 10, 30, 15], "missing": 20, "outside": 8}


def test_rows_are_counted_by_cell_and_beyond_the_fences():
    found = Counted.of(NUMERIC)
    assert (found.cells.tolist(), found.outside, found.rows) == ([40, 30, 20, 10, 0, 25], 5, 125)
    assert found.rates == {"missing_rate": 0.2, "unknown_rate": 0.0, "outside_rate": 0.04}
    assert Counted.of({"counts": [1], "other": 3}).rates == {"missing_rate": 0, "unknown_rate": 0.75, "outside_rate": 0}


def test_what_is_left_without_some_rows():
    found = Counted.of(NUMERIC).without(Counted.of(WINDOW))
    assert (found.cells.tolist(), found.outside) == ([35, 20, -10, -5, 0, 5], -3)


def test_a_column_is_measured_by_all_cells_its_bins_and_its_rates():
    before, after = Counted.of(NUMERIC), Counted.of(WINDOW)
    assert measured(NUMERIC, before, after) == {
        "psi": stability(before.cells, after.cells),
        "jensen_shannon": jensen_shannon(before.cells, after.cells),
        "wasserstein": wasserstein(np.array([0.0, 1.0, 3.0]), before.cells[:4], after.cells[:4]),
        "missing_rate": 0.25,
        "outside_rate": 0.1,
    }


@pytest.mark.parametrize(
    ("column", "names"),
    [
        ({"values": ["a", "b"], "counts": [3, 4], "other": 0, "missing": 0}, {"missing_rate", "unknown_rate"}),
        ({"edges": [1.0], "counts": [3, 4], "missing": 0}, {"missing_rate"}),
        ({"edges": [1.0, 2.0], "counts": [3, 4, 5]}, {"wasserstein"}),
    ],
)
def test_a_column_has_the_measures_that_its_reference_can_tell(column, names):
    one = Counted.of(column)
    assert set(measured(column, one, one)) == {"psi", "jensen_shannon"} | names


def test_a_window_of_missing_values_alone_has_no_area():
    window = Counted.of({"counts": [0, 0, 0, 0], "missing": 9})
    assert "wasserstein" not in measured(NUMERIC, Counted.of(NUMERIC), window)


def test_only_limits_that_are_set_are_limits():
    found = {"psi": 0.25, "wasserstein": 0.15, "missing_rate": 0.1, "unknown_rate": 0.1, "outside_rate": 0.1}
    assert limits(DriftPolicy()) == found
    assert limits(DriftPolicy(psi=0.5, wasserstein=None, outside_rate=None, jensen_shannon=0.4)) == {
        "psi": 0.5, "jensen_shannon": 0.4, "missing_rate": 0.1, "unknown_rate": 0.1,
    }  # fmt: skip
