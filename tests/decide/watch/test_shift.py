from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from everloop.decide.policy import DriftPolicy
from everloop.decide.statistics.prediction import Sample
from everloop.decide.watch.measures import Counted, measured
from everloop.decide.watch.ordinary import Ordinary, ordinary
from everloop.decide.watch.shift import Shift, compare
from everloop.interval import Interval

START = datetime(2024, 1, 1, tzinfo=UTC)
WEEK = Interval(START + timedelta(days=84), START + timedelta(days=91))

LIMIT = {"psi": 0.5**4, "outside_rate": float(np.sin(0.5) ** 2)}
"""What ordinary windows show at any level: they do not differ from each other."""
ORDINARY = Ordinary(length=timedelta(days=7), windows=12, roots=dict.fromkeys(LIMIT, Sample(mean=0.5, deviation=0.0, count=12)))

MOVED = Shift(
    rows=900, psi=0.5, jensen_shannon=0.5, wasserstein=0.3, missing_rate=0.5, reference_missing_rate=0.1, unknown_rate=0.0,
    outside_rate=0.3, reference_outside_rate=0.05,
)  # fmt: skip


def weeks(values):
    """A reference's column, one value a week for each of a few units: `values` (weeks, units) of 100 rows a day."""
    edges = sorted(set(np.quantile(values, np.linspace(0.1, 0.9, 9), method="inverted_cdf").tolist()))
    bins = np.searchsorted(edges, values)
    days = [np.bincount(week, minlength=len(edges) + 1) * 100 for week in bins for _ in range(7)]
    period = {"start": START.isoformat(), "seconds": 86_400, "cells": [[*day.tolist(), 0, 0] for day in days]}
    return {"kind": "numeric", "edges": edges, "counts": np.sum(days, axis=0).tolist(), "missing": 0, "periods": [period]}


def served(column, values):
    counts = np.bincount(np.searchsorted(column["edges"], values), minlength=len(column["edges"]) + 1) * 700
    return compare(column, {"counts": counts.tolist(), "missing": 0}, WEEK, 200)


def test_a_column_moves_when_it_reaches_a_limit_and_lies_beyond_ordinary_windows():
    policy = DriftPolicy(wasserstein=None, missing_rate=None)
    assert MOVED.beyond(policy) == {"psi": 0.5, "outside_rate": 0.25}
    assert replace(MOVED, ordinary=ORDINARY).moved(policy, 0.01) == {"psi": 0.5, "outside_rate": 0.25}
    assert replace(MOVED, psi=0.0624, ordinary=ORDINARY).moved(DriftPolicy(psi=0.01), 0.01).keys() == {
        "outside_rate", "wasserstein", "missing_rate",
    }  # fmt: skip
    usual = replace(MOVED, psi=0.25, outside_rate=LIMIT["outside_rate"], ordinary=ORDINARY)
    assert usual.moved(policy, 0.01) == {"psi": 0.25}
    assert usual.moved(replace(policy, psi=0.26), 0.01) == {}


def test_what_is_not_known_of_ordinary_windows_is_judged_by_its_limit_alone():
    assert MOVED.moved(DriftPolicy(), 0.01) == MOVED.beyond(DriftPolicy())
    assert MOVED.usual(DriftPolicy(), 0.01) == {}
    some = replace(MOVED, ordinary=ORDINARY)
    assert some.moved(DriftPolicy(), 0.01) == {"psi": 0.5, "wasserstein": 0.3, "missing_rate": 0.4, "outside_rate": 0.25}


def test_ordinary_rates_are_told_as_rises_over_the_reference():
    found = replace(MOVED, ordinary=ORDINARY).usual(DriftPolicy(), 0.01)
    assert found == pytest.approx({"psi": LIMIT["psi"], "outside_rate": LIMIT["outside_rate"] - 0.05})
    high = replace(MOVED, ordinary=ORDINARY, reference_outside_rate=0.9)
    assert high.usual(DriftPolicy(), 0.01)["outside_rate"] == 0.0


def test_measures_that_are_judged_share_the_level():
    roots = dict.fromkeys(("psi", "wasserstein"), Sample(mean=0.5, deviation=0.1, count=12))
    shift = replace(MOVED, ordinary=replace(ORDINARY, roots=roots))
    both, one = shift.usual(DriftPolicy(), 0.02), shift.usual(DriftPolicy(wasserstein=None), 0.01)
    assert both["psi"] == one["psi"] == shift.ordinary.limit("psi", 0.01)
    assert set(both) == {"psi", "wasserstein"}


def test_the_rates_of_both_sides_are_told_and_what_is_ordinary_only_for_a_window_in_time():
    column = weeks(np.random.default_rng(1).normal(size=(12, 5))) | {"fences": [-9, 9], "outside": 84}
    counts = {"counts": column["counts"], "missing": 600, "outside": 3_000}
    found = compare(column, counts)
    assert (found.outside_rate, found.reference_outside_rate) == (3_000 / 42_600, 84 / 42_000)
    assert found.ordinary is None
    assert compare(column, counts, WEEK, 200).ordinary == ordinary(column, WEEK, 42_600, 200)
    assert compare(column, counts, WEEK, 5_000).ordinary is None


def test_the_distances_are_those_of_the_counts_from_the_reference():
    column, counts = (
        weeks(np.random.default_rng(1).normal(size=(12, 5))),
        {"counts": [9, 1, 0, 0, 5, 5, 0, 1, 0, 9], "missing": 3},
    )
    found, told = compare(column, counts), measured(column, Counted.of(column), Counted.of(counts))
    assert (found.psi, found.jensen_shannon, found.wasserstein) == (told["psi"], told["jensen_shannon"], told["wasserstein"])
    assert found.wasserstein > 0
    assert compare({"values": ["a", "b"], "counts": [3, 4], "missing": 0}, {"counts": [4, 3], "missing": 0}).wasserstein is None


def test_unless_told_otherwise_a_window_of_one_row_is_a_window():
    period = {"start": START.isoformat(), "seconds": 86_400, "cells": [[1, 0, 0, 0]] * 10}
    column = {"kind": "numeric", "edges": [0.0], "counts": [10, 0], "missing": 0, "periods": [period]}
    day = Interval(START + timedelta(days=10), START + timedelta(days=11))
    assert compare(column, {"counts": [5, 5], "missing": 0}, day).ordinary.windows == 10


def test_categories_have_no_area_to_move_by():
    assert replace(MOVED, wasserstein=None).beyond(DriftPolicy()) == {"psi": 0.5, "missing_rate": 0.4, "outside_rate": 0.25}


def test_without_a_row_on_either_side_there_is_no_shift():
    column, empty = weeks(np.random.default_rng(1).normal(size=(12, 5))), {"counts": [0] * 10, "missing": 0}
    assert compare(column, empty) is None
    assert compare(column | {"counts": empty["counts"]}, {"counts": column["counts"], "missing": 0}) is None
    assert compare(column, {"counts": [1] + [0] * 9, "missing": 0}).rows == 1


def test_five_precincts_with_one_value_a_week_are_not_always_red():
    """A PSI of 2 and more every week, since no week has the values of the quarter before."""
    policy, rng = DriftPolicy(), np.random.default_rng(4)
    told, before = [], []
    for _ in range(40):
        column = weeks(rng.normal(0.2, 0.02, (13, 5)))
        shift = served(column, rng.normal(0.2, 0.02, 5))
        before.append(bool(shift.beyond(policy)))
        told.append(bool(shift.moved(policy, 0.025)))
    assert np.mean(before) > 0.95
    assert np.mean(told) < 0.1


def test_precincts_whose_values_change_are_told():
    column = weeks(np.random.default_rng(4).normal(0.2, 0.02, (13, 5))) | {"fences": [0.1, 0.3], "outside": 0}
    column["periods"][0]["outside"] = [0] * 91
    counts = {"counts": [0] * len(column["edges"]) + [3_500], "missing": 0, "outside": 3_500}
    assert "outside_rate" in compare(column, counts, WEEK, 200).moved(DriftPolicy(), 0.025)
