from __future__ import annotations

from datetime import UTC, datetime, timedelta

from everloop.console.chart import chart
from everloop.interval import Interval
from everloop.ports import Measurement

START = datetime(2013, 7, 1, tzinfo=UTC)


def point(day: int, value: float | None, verdict: str = "pass", **detail: object) -> Measurement:
    interval = Interval(START + timedelta(days=day), START + timedelta(days=day + 1))
    return Measurement(interval=interval, release="r", kind="drift", subject="temp", value=value, verdict=verdict, detail=detail)


def test_each_value_is_a_dot_that_says_why_it_is_judged_so() -> None:
    because = "psi 9.00 (ordinary days of the training period show up to 4.00)"
    found = str(chart([point(0, 0.5), point(1, None), point(2, 9.0, "fail", because=because)]))
    assert found.count("<circle") == 2
    assert "<title>2013-07-01 00:00: 0.5, pass</title>" in found
    assert f"<title>2013-07-03 00:00: 9, fail ({because})</title>" in found
    assert 'class="fail"' in found


def test_what_a_dot_says_is_escaped() -> None:
    assert "&lt;b&gt;" in str(chart([point(0, 1.0, because="<b>")]))


def test_no_values_are_told() -> None:
    assert "no values" in str(chart([point(0, None)]))
