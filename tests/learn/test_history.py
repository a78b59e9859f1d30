from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from everloop.decide.watch import sketch
from everloop.learn import history
from everloop.learn.history import History, numbers, places
from everloop.learn.reference import describe

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NUMERIC = {"kind": "numeric", "edges": [1.0, 2.0], "counts": [0, 0, 0]}
CARRIERS = {"kind": "category", "values": ["AA", "UA"], "counts": [0, 0]}


def moments(*hours: float) -> np.ndarray:
    """So many hours after the second of January 1970."""
    return np.datetime64("1970-01-02", "us") + (np.array(hours) * 3_600e6).astype("timedelta64[us]")


def past(asked: np.ndarray, width: timedelta = DAY) -> History:
    none = (moments(), np.empty(0))
    return History(width=width, asked=asked, scored=(none, none))


def test_each_value_has_the_cell_that_the_monitor_counts_it_in() -> None:
    values = pa.chunked_array([[0.5, 1.0, None], [1.5, 9.0, float("nan")]])
    assert places(NUMERIC, values).tolist() == [0, 0, 4, 1, 2, 4]
    assert places(CARRIERS, pa.chunked_array([["UA", "ZZ", None, "AA"]])).tolist() == [1, 2, 3, 0]
    assert places(CARRIERS, pa.chunked_array([["UA", None]]).dictionary_encode()).tolist() == [1, 3]
    assert places(NUMERIC, pa.chunked_array([[True, False]])).tolist() == [0, 0]
    assert numbers(pa.chunked_array([[0.1, None]])).tolist()[0] == float(np.float32(0.1))


def test_a_period_counts_rows_by_whole_blocks() -> None:
    asked = moments(-1, 0, 1, 23.9, 24, 50, 71, 72, 80)
    values = pa.chunked_array([[9.0, 0.0, 1.5, None, 3.0, 3.0, 3.0, 9.0, 9.0]])
    (found,) = past(asked).periods(NUMERIC | {"fences": [0.5, 2.5]}, values)
    assert found == {
        "start": "1970-01-02T00:00:00+00:00",
        "seconds": 86_400.0,
        "cells": [[1, 1, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 2, 0, 0]],
        "outside": [1, 1, 2],
    }


def test_a_block_without_rows_is_kept_empty_and_the_order_of_rows_does_not_matter() -> None:
    asked, values = moments(-1, 5, 60, 99), np.array(["AA", "AA", "ZZ", "UA"])
    order = [2, 0, 3, 1]
    one, other = (past(asked[o]).periods(CARRIERS, pa.chunked_array([values[o]])) for o in ([0, 1, 2, 3], order))
    assert one == other
    assert one[0]["cells"] == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert "outside" not in one[0]


@pytest.mark.parametrize("hours", [(), (1, 2), (1, 25), (1, 25, 26)])
def test_a_past_without_a_whole_block_has_no_period(hours: tuple[float, ...]) -> None:
    assert past(moments(*hours)).periods(NUMERIC, pa.chunked_array([[0.0] * len(hours)], pa.float64())) == []


def test_blocks_are_as_wide_as_they_are_asked_to_be() -> None:
    (found,) = past(moments(0.5, 1.1, 1.9, 3.2), HOUR).periods(NUMERIC, pa.chunked_array([[0.0] * 4]))
    assert (found["start"], found["seconds"]) == ("1970-01-02T01:00:00+00:00", 3_600)
    assert [sum(cells) for cells in found["cells"]] == [2, 0]


def test_of_a_long_past_or_a_rich_category_the_newest_blocks_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "BLOCKS", 4)
    asked = moments(*(24 * day for day in range(10)))
    (found,) = past(asked).periods(NUMERIC, pa.chunked_array([[float(day) for day in range(10)]]))
    assert (found["start"], len(found["cells"])) == ("1970-01-07T00:00:00+00:00", 4)
    monkeypatch.setattr(history, "CELLS", 14)
    (found,) = past(asked).periods(NUMERIC, pa.chunked_array([[0.0] * 10]))
    assert (found["start"], len(found["cells"])) == ("1970-01-09T00:00:00+00:00", 2)


PARTS = ["fit"] * 96 + ["validation"] * 24 + ["calibration"] * 24 + ["purged"] * 12 + ["holdout"] * 36


def examples() -> pa.Table:
    """Eight days by hour, the value being the hour."""
    times = pa.array(moments(*range(192)), pa.timestamp("us", "UTC"))
    columns = {"x": np.arange(192.0), "part": PARTS, "event_timestamp": times}
    return pa.table(columns)


MODEL = SimpleNamespace(score=lambda matrix: matrix / 1_000, encoder=SimpleNamespace(table=lambda rows: rows["x"].to_numpy()))


def test_scores_of_fitted_rows_stand_apart_from_those_of_later_ones() -> None:
    found = History.of(examples(), MODEL, 7 * DAY)
    (fitted, theirs), (later, ours) = found.scored
    assert found.width == DAY
    assert len(found.asked) == 144
    assert (theirs.tolist(), len(fitted)) == ((np.arange(96) / 1_000).tolist(), 96)
    assert ours.tolist() == (np.array([*range(96, 144), *range(156, 192)]) / 1_000).tolist()
    assert later[0] == moments(96)[0]
    known, counted = found.score_periods([0.05, 0.15])
    assert (known["counted"], known["start"]) == (False, "1970-01-03T00:00:00+00:00")
    assert "counted" not in counted
    assert [sum(cells) for cells in known["cells"]] == [24, 24]
    assert counted["cells"] == [[0, 24, 0, 0, 0], [0, 0, 12, 0, 0]]


def test_blocks_are_no_wider_than_the_windows_to_come() -> None:
    assert History.of(examples(), MODEL, HOUR).width == HOUR


def test_of_many_rows_some_are_scored_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "SCORED", 40)
    (fitted, theirs), _ = History.of(examples(), MODEL, DAY).scored
    assert theirs.tolist() == (np.arange(0, 96, 3) / 1_000).tolist()
    assert len(fitted) == 32


def test_a_reference_with_its_past_counts_the_same_rows() -> None:
    rng = np.random.default_rng(3)
    asked = moments(*sorted(rng.uniform(0, 24 * 9, 3_000)))
    rows = pa.table({"x": rng.normal(size=3_000), "carrier": rng.choice(["AA", "UA", "ZZ"], 3_000)})
    scores = rng.random(900)
    past = History(width=DAY, asked=asked, scored=((asked[:2_000], rng.random(2_000)), (asked[-900:], scores)))
    labels = rng.random(3_000) < 0.5
    found = describe(rows, ["x", "carrier"], {"carrier": ("AA", "UA")}, labels, labels[:300], scores[:300], {}, history=past)
    inside = (asked >= moments(24)[0]) & (asked < moments(24 * 8)[0])
    for name, column in found["columns"].items():
        (period,) = column["periods"]
        counted = sketch.count(column, rows[name].filter(pa.array(inside)).to_pylist())
        assert np.sum(period["cells"], axis=0).tolist() == sketch.cells(counted).tolist()
        assert sum(period.get("outside", [0])) == counted.get("outside", 0)
        assert sketch.count(column, rows[name].to_pylist()) == {key: column[key] for key in counted}
    assert sum(found["score"]["counts"]) == 900
    assert sum(found["score"]["residuals"]["rows"]) == 300
    assert [period.get("counted", True) for period in found["score"]["periods"]] == [False, True]
    assert datetime.fromisoformat(found["score"]["periods"][0]["start"]) == datetime(1970, 1, 3, tzinfo=UTC)
