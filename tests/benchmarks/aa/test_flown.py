from datetime import timedelta

import numpy as np
import pytest

from benchmarks.aa.flown import BEGIN, RING, Flown
from benchmarks.aa.prepared import _with_a_past

DAY = timedelta(days=1)


def test_a_window_holds_the_rows_asked_for_in_it(flown):
    rows, later = flown.window(BEGIN + 10 * DAY, 7 * DAY)
    assert rows.tolist() == list(range(1_000, 1_700))
    assert not later.astype(int).any()


@pytest.mark.parametrize("start", [BEGIN + 360 * DAY, BEGIN + RING + 360 * DAY])
def test_a_window_goes_on_where_the_year_begins_again(flown, start):
    rows, later = flown.window(start, 8 * DAY)
    assert rows.tolist() == [*range(36_000, 36_400), *range(400)]
    asked = flown.asked[rows] + later
    assert (np.diff(asked) > np.timedelta64(0)).all()
    assert asked[0] == np.datetime64(start.replace(tzinfo=None))
    assert asked[-1] < np.datetime64((start + 8 * DAY).replace(tzinfo=None))


def test_a_window_may_be_longer_than_the_year(flown):
    rows, later = flown.window(BEGIN + DAY, RING + DAY)
    assert len(rows) == len(flown) + 100
    assert len(np.unique(flown.asked[rows] + later)) == len(rows)


def test_the_flights_come_back_as_they_were_kept(flown, tmp_path):
    flown.keep(tmp_path / "flown.npz")
    found = Flown.read(tmp_path / "flown.npz")
    assert [file.name for file in tmp_path.iterdir()] == ["flown.npz"]
    assert found.asked.tolist() == flown.asked.tolist()
    assert found.patterns.tolist() == flown.patterns.tolist()
    assert (found.scores == flown.scores).all()


def test_a_row_without_a_past_lacks_what_its_entitys_first_later_one_lacks():
    absent = np.array([[True, True], [True, True], [True, True], [False, True], [False, False], [True, False]])
    entity, learnt = np.array([0, 1, 2, 0, 1, 0]), np.array([False, False, False, True, True, True])
    found = _with_a_past(absent, entity, learnt)
    assert found.tolist() == [[False, True], [False, False], [True, True], *absent[3:].tolist()]
