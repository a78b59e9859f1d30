"""Request checks: each expectation means at request time what Great Expectations means in the batch."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from everloop.errors import ConfigurationError
from everloop.serve.reading.checks import FieldCheck, compile_suite

FIELDS = {"x": "float", "s": "string", "t": "timestamp"}


def compiled(type_: str, column: str, **kwargs: Any) -> tuple[FieldCheck, ...]:
    expectation = {"type": f"expect_column_{type_}", "kwargs": {"column": column, **kwargs}}
    return compile_suite(json.dumps({"name": "suite", "expectations": [expectation]}).encode(), FIELDS)


MARCH = datetime(2013, 3, 1, tzinfo=UTC)
CASES = [
    ("values_to_not_be_null", "x", {}, [0.0], [None]),
    ("values_to_be_null", "x", {}, [None], [0.0]),
    ("values_to_be_between", "x", {"min_value": 0, "max_value": 2}, [0.0, 2.0, None], [-0.1, 2.1]),
    ("values_to_be_between", "x", {"min_value": 0, "strict_min": True}, [0.1, 1e9], [0.0]),
    ("values_to_be_between", "x", {"max_value": 2, "strict_max": True}, [1.9], [2.0]),
    ("values_to_be_between", "x", {"min_value": 0, "max_value": 2, "strict_max": True}, [0.0, 1.9, None], [-0.1, 2.0]),
    ("values_to_be_between", "t", {"min_value": "2013-03-01"}, [MARCH], [datetime(2013, 2, 28, tzinfo=UTC)]),
    ("values_to_be_in_set", "s", {"value_set": ["a", "b"]}, ["a", None], ["c"]),
    ("values_to_not_be_in_set", "s", {"value_set": ["a"]}, ["b", None], ["a"]),
    ("values_to_match_regex", "s", {"regex": "[A-Z]{3}"}, ["JFK", "JFKX", "xJFK", None], ["jfk", "JF"]),
    ("values_to_not_match_regex", "s", {"regex": "^x"}, ["a", None], ["xa"]),
    ("value_lengths_to_be_between", "s", {"min_value": 2, "max_value": 3}, ["ab", None], ["a", "abcd"]),
    ("value_lengths_to_equal", "s", {"value": 2}, ["ab"], ["a"]),
]


@pytest.mark.parametrize(("type_", "column", "kwargs", "good", "bad"), CASES)
def test_expectation_holds_and_breaks(type_: str, column: str, kwargs: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    (check,) = compiled(type_, column, **kwargs)
    assert [check.holds(value) for value in good] == [True] * len(good)
    assert [check.holds(value) for value in bad] == [False] * len(bad)
    assert check.rule.startswith("must")


def test_expectations_of_the_batch_and_of_other_columns_are_left_to_the_batch() -> None:
    assert compiled("mean_to_be_between", "x", min_value=0) == ()
    assert compiled("values_to_be_unique", "x") == ()
    assert compiled("values_to_be_in_type_list", "x", type_list=["float"]) == ()
    assert compiled("values_to_not_be_null", "label") == ()


@pytest.mark.parametrize("kwargs", [{"row_condition": "x > 1", "condition_parser": "pandas"}, {"min_value": "soon"}])
def test_what_cannot_be_checked_row_by_row_is_an_error(kwargs: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expect_column_values_to_be_between on t"):
        compiled("values_to_be_between", "t", **kwargs)


@pytest.mark.parametrize("strict", [False, True])
def test_a_rule_of_two_ends_says_the_same_of_nan_whether_strict_or_not(strict: bool) -> None:
    assert compiled("values_to_be_between", "x", min_value=0, max_value=2, strict_max=strict)[0].holds(float("nan"))


def test_unsupported_row_level_expectation_names_the_supported_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"supported: .*expect_column_values_to_be_in_set"):
        compiled("values_to_be_json_parseable", "s")


def test_a_share_that_may_break_it_makes_it_a_warning() -> None:
    assert not compiled("values_to_not_be_null", "x", mostly=0.9)[0].refuses
    assert compiled("values_to_not_be_null", "x", mostly=1.0)[0].refuses


def test_the_shipped_suite_lets_a_real_week_of_flights_through() -> None:
    from everloop.demo import year
    from everloop.demo.replay import request_of
    from everloop.serve.reading.rows import RowReader
    from everloop.settings import PROJECT

    week = year.flights(MARCH, datetime(2013, 3, 8, tzinfo=UTC)).to_pylist()
    fields = {"carrier": "string", "flight": "int", "tailnum": "string", "origin": "string", "dest": "string"}
    fields |= {"scheduled_departure": "timestamp", "scheduled_arrival": "int", "distance": "float"}
    checks = compile_suite((PROJECT / "expectations" / "flights" / "training_set.json").read_bytes(), fields)
    assert {check.field for check in checks} == set(fields)
    reader = RowReader(fields, checks)
    sent = json.loads(json.dumps([request_of(flight) for flight in week], default=datetime.isoformat))
    assert len(reader.rows(sent, "rows[{}].", MARCH)) == len(week) > 5_000
