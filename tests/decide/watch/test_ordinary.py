"""Windows of made pasts: by day, with weeks that differ."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from everloop.decide.statistics.prediction import Sample
from everloop.decide.watch.measures import Counted, measured
from everloop.decide.watch.ordinary import LEAST, MOST, Ordinary, Period, ordinary
from everloop.decide.watch.shift import compare
from everloop.interval import Interval

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)


def past(days, start=START, **changes):
    """A reference's column whose period has these counts by day, (days, bins)."""
    cells = [[*row, 0, 0] for row in np.asarray(days).tolist()]
    period = {"start": start.isoformat(), "seconds": 86_400, "cells": cells} | changes
    edges = list(range(len(cells[0]) - 3))
    return {"kind": "numeric", "edges": edges, "counts": np.sum(days, axis=0).tolist(), "missing": 0, "periods": [period]}


def window(days, after, start=START):
    return Interval(start + after * DAY, start + (after + days) * DAY)


def weekly(weeks, rows=100):
    """Each day of week i has all its rows in bin i % 4."""
    return np.repeat(np.eye(4, dtype=int)[np.arange(weeks) % 4] * rows, 7, axis=0)


def test_each_window_is_held_against_the_rest():
    column = past(weekly(12))
    found = ordinary(column, window(7, 84), rows=700, least=1)
    whole = Counted.of(column)
    one = Counted.of({"counts": [700, 0, 0, 0]})
    told = measured(column, whole.without(one), one)
    assert (found.windows, found.length) == (12, WEEK)
    assert set(found.roots) == {"psi", "jensen_shannon", "wasserstein", "missing_rate"}
    assert found.roots["psi"].mean == pytest.approx(told["psi"] ** 0.25)
    assert found.roots["jensen_shannon"].mean == pytest.approx(told["jensen_shannon"] ** 0.5)
    assert found.roots["psi"].count == 12
    assert found.limit("psi", 0.01) == pytest.approx(told["psi"])


def test_windows_begin_where_the_judged_one_would_if_they_went_on():
    """A column with one value a week: windows from Monday to Sunday have one value, others two."""
    column = past(weekly(13))
    aligned = ordinary(column, window(7, 91 + 70), rows=700, least=1)
    moved = ordinary(column, window(7, 91 + 73), rows=700, least=1)
    assert (aligned.windows, moved.windows) == (13, 12)
    assert aligned.roots["psi"].mean > moved.roots["psi"].mean
    earlier = ordinary(column, window(7, -14), rows=700, least=1)
    assert earlier == aligned


def test_rows_that_are_not_counted_are_held_against_all_that_are():
    later, earlier = weekly(8), weekly(12)
    column = past(later, START + 84 * DAY)
    fitted = past(earlier)["periods"][0] | {"counted": False}
    both = column | {"periods": [fitted, *column["periods"]]}
    found = ordinary(both, window(7, 140), rows=700, least=1)
    whole = Counted.of(column)
    one = Counted.of({"counts": [700, 0, 0, 0]})
    roots = [measured(column, rest, one)["psi"] ** 0.25 for rest in [whole] * 12 + [whole.without(one)] * 8]
    assert found.windows == 20
    assert found.roots["psi"].mean == pytest.approx(np.mean(roots))
    assert found.roots["psi"].deviation == pytest.approx(np.std(roots, ddof=1))


def test_a_window_too_long_for_enough_of_its_length_is_held_against_shorter_ones():
    column = past(np.full((40, 4), 50))
    assert [ordinary(column, window(days, 40), 200, 1).length for days in (1, 4, 5, 6, 30)] == [
        DAY,
        4 * DAY,
        5 * DAY,
        5 * DAY,
        5 * DAY,
    ]
    assert ordinary(column, window(30, 40), 200, 1).windows == LEAST
    # Four days fit ten times, but not from the day on that the window begins with.
    assert ordinary(past(np.full((39, 4), 50)), window(30, 40), 200, 1).length == 4 * DAY


def test_what_is_too_short_to_tell_tells_nothing():
    column = past(np.full((LEAST, 4), 50))
    assert ordinary(column, window(1, 40), 200, 1).windows == LEAST
    assert ordinary(past(np.full((LEAST - 1, 4), 50)), window(1, 40), 200, 1) is None
    assert ordinary(column, Interval(START, START + DAY / 2), 200, 1) is None
    assert ordinary({"edges": [], "counts": [9]}, window(1, 40), 200, 1) is None
    assert ordinary(column | {"periods": []}, window(1, 40), 200, 1) is None


def test_windows_of_too_few_rows_are_none():
    days = np.full((20, 4), 50)
    days[:6] = 1
    assert ordinary(past(days), window(1, 40), 200, least=200).windows == 14
    assert ordinary(past(days), window(1, 40), 200, least=4).windows == 20
    assert ordinary(past(days), window(1, 40), 200, least=201) is None
    days[:] = 0
    assert ordinary(past(days), window(1, 40), 200, least=0) is None


def test_of_many_windows_some_are_taken_evenly():
    days = np.full((301, 2), 50)
    days[0] = days[300] = (100, 0)
    found = ordinary(past(days), window(1, 301), 100, 1)
    assert found.windows == MOST
    assert found.roots["psi"].deviation > 0


def test_a_window_of_few_rows_is_held_against_as_few():
    """Noise of few rows is ordinary; of many it is not."""
    column = past(np.full((80, 10), 1_000))
    few, many = (ordinary(column, window(1, 80), rows, 1) for rows in (200, 10_000))
    assert few.limit("psi", 0.01) > 10 * many.limit("psi", 0.01)
    assert few == ordinary(column, window(1, 80), 200, 1)
    fenced = past(np.full((80, 10), 1_000), outside=[1_000] * 80) | {"fences": [0, 1], "outside": 80_000}
    assert ordinary(fenced, window(1, 80), 10_000, 1).roots["outside_rate"].deviation == pytest.approx(0)
    few = ordinary(fenced, window(1, 80), 200, 1).roots["outside_rate"]
    assert few.mean == pytest.approx(np.arcsin(np.sqrt(0.1)), abs=0.01)
    assert few.deviation == pytest.approx(0.5 / np.sqrt(200), rel=0.3)


def test_a_rate_is_limited_by_the_rates_of_windows():
    days = np.full((20, 4), 25)
    column = past(days, outside=[10] * 20) | {"fences": [0, 1], "outside": 200}
    found = ordinary(column, window(1, 20), 100, 1)
    assert found.limit("outside_rate", 0.01) == pytest.approx(0.1)
    assert found.limit("missing_rate", 0.01) == 0


@pytest.mark.parametrize("measure", ["psi", "jensen_shannon", "wasserstein", "missing_rate", "unknown_rate", "outside_rate"])
def test_a_limit_is_told_in_the_measure_s_own_units(measure):
    power = {"psi": 4}.get(measure, 2)
    still = Ordinary(length=DAY, windows=9, roots={measure: Sample(mean=0.5, deviation=0.0, count=9)})
    assert still.limit(measure, 0.01) == pytest.approx(np.sin(0.5) ** 2 if measure.endswith("rate") else 0.5**power)
    wild = Ordinary(length=DAY, windows=9, roots={measure: Sample(mean=1.0, deviation=9.0, count=9)})
    assert (wild.limit(measure, 0.01) == 1.0) == measure.endswith("rate")
    assert wild.limit(measure, 0.9) == 0.0


@pytest.mark.parametrize(
    ("length", "name"),
    [
        (WEEK, "weeks"),
        (DAY, "days"),
        (timedelta(hours=1), "hours"),
        (3 * DAY, "windows of 3 days"),
        (DAY / 2, "windows of 12:00:00"),
    ],
)
def test_windows_are_called_what_people_call_them(length, name):
    assert str(Ordinary(length=length, windows=9, roots={})) == f"ordinary {name} of the training period"


def test_a_period_is_read_as_a_reference_keeps_it():
    told = {"start": "2024-01-02T00:00:00+00:00", "seconds": 3600.0, "cells": [[1, 2, 0, 0]], "outside": [2], "counted": False}
    found = Period.of(told)
    assert (found.start, found.width, found.counted) == (START + DAY, timedelta(hours=1), False)
    assert (found.cells.tolist(), found.outside.tolist()) == ([[1, 2, 0, 0]], [2])
    plain = Period.of({name: told[name] for name in ("start", "seconds", "cells")})
    assert (plain.counted, plain.outside.tolist()) == (True, [0])


def test_ordinary_weeks_exceed_the_limit_as_seldom_as_said():
    """A displacement a week, shared by its days: the dependence that weather has. The levels are those of a single measure."""
    rng, beyond = np.random.default_rng(7), []
    edges = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    for _ in range(150):
        weeks = [rng.normal(rng.normal(0, 0.8), 1, (7, 60)) for _ in range(14)]
        days = [np.bincount(np.searchsorted(edges, day), minlength=6) for week in weeks for day in week]
        served = np.sum(days[91:], axis=0)
        column = past(days[:91]) | {"edges": edges.tolist()}
        shift = compare(column, {"counts": served.tolist(), "missing": 0}, window(7, 91), 1)
        beyond.append([shift.psi > shift.ordinary.limit("psi", level) for level in (0.1, 0.02)])
    often, seldom = np.mean(beyond, axis=0)
    assert 0.03 < often < 0.18
    assert seldom < 0.06
