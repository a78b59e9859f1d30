"""The measurements' contract, held by PostgreSQL and by the fake."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from everloop.adapters.measurements import PostgresMeasurements
from everloop.decide.verdict import Outcome
from everloop.errors import DataError
from everloop.interval import Interval
from everloop.ports import Measurement, Measurements
from fakes.measurements import InMemoryMeasurements

START = datetime(2013, 4, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
DRIFT = Measurement(
    interval=Interval(START, START + WEEK),
    release="r1",
    kind="drift",
    subject="score",
    value=0.1 + 0.2,
    verdict="pass",
    detail={"columns": [{"name": "a", "psi": 0.3}], "rows": 10},
)


@pytest.fixture(params=["postgres", "memory"])
def measurements(request: pytest.FixtureRequest) -> Measurements:
    if request.param == "memory":
        return InMemoryMeasurements()
    return PostgresMeasurements(request.getfixturevalue("everloop_database"))


def test_a_measurement_reads_back_as_it_was_written(measurements: Measurements):
    absent = replace(DRIFT, subject="a", value=None, verdict=Outcome.INCONCLUSIVE, detail={})
    measurements.write("flights", [DRIFT, absent])
    assert measurements.read("flights") == [replace(absent, verdict="inconclusive"), DRIFT]
    assert measurements.read("claims") == []


def test_measuring_an_interval_again_replaces_it(measurements: Measurements):
    measurements.write("flights", [DRIFT])
    again = replace(DRIFT, value=0.9, verdict="fail", detail={"rows": 11})
    measurements.write("flights", [again])
    assert measurements.read("flights") == [again]


def test_they_come_oldest_first_and_by_kind_and_release(measurements: Measurements):
    later = replace(DRIFT, interval=Interval(START + WEEK, START + 2 * WEEK))
    other = replace(DRIFT, kind="parity", release="r2")
    measurements.write("flights", [later, other, DRIFT])
    assert measurements.read("flights") == [DRIFT, other, later]
    assert measurements.read("flights", kind="drift") == [DRIFT, later]
    assert measurements.read("flights", release="r2") == [other]
    assert measurements.read("flights", kind="drift", release="r2") == []


def test_the_newest_of_a_subject_that_ended_by_a_moment_come_oldest_first(measurements: Measurements):
    weeks = [replace(DRIFT, interval=Interval(START + n * WEEK, START + (n + 1) * WEEK)) for n in range(5)]
    measurements.write("flights", [*weeks, *(replace(week, subject="a") for week in weeks)])
    asked = {"kind": "drift", "release": "r1", "subject": "score"}
    assert measurements.read("flights", **asked, until=START + 4 * WEEK, newest=2) == weeks[2:4]
    assert measurements.read("flights", **asked, newest=9) == weeks
    assert measurements.read("flights", **asked, until=START) == []


def test_a_detail_that_json_cannot_hold_is_refused_and_nothing_is_written(measurements: Measurements):
    with pytest.raises(DataError, match="psi is nan"):
        measurements.write("flights", [DRIFT, replace(DRIFT, subject="b", detail={"psi": float("nan")})])
    assert measurements.read("flights") == []


def test_a_cursor_moves_forward_and_never_back(measurements: Measurements):
    assert measurements.cursor("flights", "monitor") is None
    for position in (START, START + WEEK, START):
        measurements.advance("flights", "monitor", position)
    assert measurements.cursor("flights", "monitor") == START + WEEK
    assert measurements.cursor("flights", "score") is None
    assert measurements.cursor("claims", "monitor") is None
