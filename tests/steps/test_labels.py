from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from everloop.errors import DataError
from everloop.steps.labels import booleans, refuse_known_before
from fakes.departures import DEPARTURES


@pytest.mark.parametrize(
    "values",
    [
        pa.array([True, False, True]),
        pa.array([1, 0, 1]),
        pa.array([1, 0, 1], pa.uint8()),
        pa.array([1.0, 0.0, 1.0]),
        pa.array([Decimal("1.0"), Decimal("0.0"), Decimal("1.0")]),
    ],
)
def test_yes_and_no_as_booleans_or_as_1_and_0_are_labels(values: pa.Array) -> None:
    found = booleans(pa.chunked_array([values.slice(0, 1), values.slice(1)]), DEPARTURES)
    assert found.type == pa.bool_()
    assert found.to_pylist() == [True, False, True]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (pa.array([0, 1, 2, 2]), "have the values 2: a label"),
        (pa.array([0, 1, -1]), "have the values -1: a label"),
        (pa.array([0.0, 1.0, 0.5]), "have the values 0.5: a label"),
        (pa.array([0.0, float("nan")]), "have the values nan: a label"),
        (pa.array(["late", "on time"]), "(string) have the values 'late', 'on time': a label"),
        (pa.array(["1", "0"]), "have the values '1', '0': a label"),
        (pa.array(range(9)), "have the values 2, 3, 4, 5, 6 and 2 more: a label"),
    ],
)
def test_any_other_value_is_refused_by_name(values: pa.Array, told: str) -> None:
    with pytest.raises(DataError) as refused:
        booleans(pa.chunked_array([values]), DEPARTURES)
    assert 'Labels of use case "departures"' in str(refused.value)
    assert told in str(refused.value)
    assert "true or false (1 or 0); have Examples.sql compare" in str(refused.value)


def moments(*minutes: int) -> np.ndarray:
    return np.datetime64("2013-01-01T00:00", "us") + np.array(minutes, dtype="timedelta64[m]")


def test_a_label_that_becomes_known_later_is_fine() -> None:
    refuse_known_before(pa.chunked_array([["a", "b"]]), moments(0, 10), moments(1, 11), DEPARTURES)
    refuse_known_before(pa.chunked_array([], pa.string()), moments(), moments(), DEPARTURES)


@pytest.mark.parametrize(("known", "told"), [(10, "at 2013-01-01T00:10:00"), (3, "at 2013-01-01T00:03:00")])
def test_a_label_known_when_it_is_asked_for_or_before_is_refused_with_both_times(known: int, told: str) -> None:
    with pytest.raises(DataError) as refused:
        refuse_known_before(pa.chunked_array([["a", "b", "c"]]), moments(0, 10, 10), moments(1, known, known), DEPARTURES)
    words = str(refused.value)
    assert 'in 2 of 3 rows: key "b" was asked for at 2013-01-01T00:10:00' in words
    assert f"its label known {told}" in words
    assert "label_time must be later than event_timestamp: have Examples.sql" in words
