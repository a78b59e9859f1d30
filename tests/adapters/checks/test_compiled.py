"""The compiled form says what Great Expectations says: of every supported expectation, row by row, on generated rows."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from everloop.adapters.checks.compiled import CompiledSuite
from everloop.adapters.checks.compiled.regexes import contains, rust
from everloop.adapters.checks.compiled.suite import COMPILERS
from everloop.adapters.checks.definition import Suite, parse
from everloop.adapters.checks.suites import _expectations, _quiet
from everloop.errors import ConfigurationError

T = datetime(2013, 3, 10, 6, 30, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("number", pa.float64()),
        ("whole", pa.int64()),
        ("big", pa.int64()),
        ("flag", pa.bool_()),
        ("time", pa.timestamp("us", "UTC")),
        ("a", pa.float64()),
        ("b", pa.float64()),
        ("c", pa.float64()),
        ("other", pa.string()),
    ]
)
TEXTS = ["", "UA", "ua", "Zürich", "B6\n", "1.5", "٣", "a b", "AA"]
NUMBERS = [0.0, -0.0, 1.0, 1.5, -3.0, math.inf, -math.inf, math.nan, 1e300]
SMALL = [0.0, 1.0, 2.0, 3.0, math.nan]
ROW = st.fixed_dictionaries(
    {
        "text": st.sampled_from([*TEXTS, None]),
        "number": st.sampled_from([*NUMBERS, None]),
        "whole": st.integers(-3, 6),
        "big": st.sampled_from([2**53, 2**53 + 1, 2**62, -(2**63), 0]),
        "flag": st.booleans(),
        "time": st.sampled_from([T, T + timedelta(microseconds=1), T - timedelta(days=400), None]),
        "a": st.sampled_from([*SMALL, None]),
        "b": st.sampled_from([*SMALL, None]),
        "c": st.sampled_from([*SMALL, None]),
        "other": st.sampled_from([*TEXTS[:4], None]),
    }
)
TABLES = st.one_of(
    st.lists(ROW, max_size=3),
    st.lists(ROW, min_size=8, max_size=60),
    st.lists(
        ROW.map(lambda row: {**row, **dict.fromkeys(("text", "number", "time", "a", "b", "c", "other"))}), min_size=1, max_size=4
    ),
)

PATTERNS = ["^[A-Z]{2}$", "U", r"\d", r"^(?:a|Z).*h$", r"(?=U)UA", r"\w+\s\w", r"^$", r"[^a-z]", r"A{2,}", r"\.", r"(?i)ua"]
"""Anchors and line feeds, classes, alternatives, and what Rust does not know: lookahead, flags, word characters."""


def of_the_column() -> list[tuple[str, dict[str, Any]]]:
    values = "expect_column_values_to_"
    told: list[tuple[str, dict[str, Any]]] = []
    for name in ("text", "number", "time", "whole"):
        told += [(f"{values}not_be_null", {"column": name}), (f"{values}be_null", {"column": name})]
        told += [(f"{values}not_be_null", {"column": name, "mostly": share}) for share in (0.5, 0.9)]
        told.append((f"{values}be_unique", {"column": name}))
    for strict in ({}, {"strict_min": True}, {"strict_max": True}, {"strict_min": True, "strict_max": True}):
        told.append((f"{values}be_between", {"column": "number", "min_value": 0, "max_value": 1.5, **strict}))
        told.append((f"{values}be_between", {"column": "whole", "min_value": -1, "max_value": 4.5, "mostly": 0.6, **strict}))
        told.append((f"{values}be_between", {"column": "time", "min_value": "2013-03-10T06:30:00+00:00", **strict}))
        told.append((f"{values}be_between", {"column": "big", "min_value": 2**60, **strict}))
        told.append(("expect_column_value_lengths_to_be_between", {"column": "text", "min_value": 1, "max_value": 3, **strict}))
    for sets in ("be_in_set", "not_be_in_set"):
        told.append((f"{values}{sets}", {"column": "text", "value_set": ["UA", "", "Zürich", 1]}))
        told.append((f"{values}{sets}", {"column": "number", "value_set": [0, 1.5], "mostly": 0.5}))
        told.append((f"{values}{sets}", {"column": "whole", "value_set": [0, 1, 2.0, "3"]}))
        told.append((f"{values}{sets}", {"column": "flag", "value_set": [True]}))
        told.append((f"{values}{sets}", {"column": "big", "value_set": [2**53 + 1]}))
    for pattern in PATTERNS:
        told.append((f"{values}match_regex", {"column": "text", "regex": pattern, "mostly": 0.3}))
        told.append((f"{values}not_match_regex", {"column": "text", "regex": pattern}))
    for how in ("any", "all"):
        told.append((f"{values}match_regex_list", {"column": "text", "regex_list": PATTERNS[:3], "match_on": how}))
    told.append((f"{values}not_match_regex_list", {"column": "text", "regex_list": PATTERNS[:3]}))
    told.append(("expect_column_value_lengths_to_equal", {"column": "text", "value": 2}))
    return told


def of_several_columns() -> list[tuple[str, dict[str, Any]]]:
    told: list[tuple[str, dict[str, Any]]] = []
    for ignored in ({}, {"ignore_row_if": "either_value_is_missing"}, {"ignore_row_if": "neither"}):
        pair = {"column_A": "a", "column_B": "b", **ignored}
        told.append(("expect_column_pair_values_to_be_equal", pair))
        told.append(("expect_column_pair_values_a_to_be_greater_than_b", pair))
        told.append(("expect_column_pair_values_a_to_be_greater_than_b", {**pair, "or_equal": True, "mostly": 0.4}))
        told.append(("expect_column_pair_values_to_be_in_set", {**pair, "value_pairs_set": [(0.0, 1.0), (1.0, 1.0), (2.0, 0.0)]}))
    for ignored in ({}, {"ignore_row_if": "any_value_is_missing"}, {"ignore_row_if": "never"}):
        several = {"column_list": ["a", "b", "c"], **ignored}
        told.append(("expect_multicolumn_sum_to_equal", {**several, "sum_total": 3}))
        told.append(("expect_select_column_values_to_be_unique_within_record", several))
        told.append(("expect_compound_columns_to_be_unique", {"column_list": ["a", "text"], **ignored}))
    return told


def of_the_whole() -> list[tuple[str, dict[str, Any]]]:
    told: list[tuple[str, dict[str, Any]]] = []
    for strict in ({}, {"strict_min": True}, {"strict_max": True}):
        for number in ("mean", "sum", "stdev", "median", "min", "max"):
            told.append((f"expect_column_{number}_to_be_between", {"column": "whole", "min_value": 0, "max_value": 3, **strict}))
            told.append((f"expect_column_{number}_to_be_between", {"column": "a", "min_value": 1, **strict}))
        told.append(
            ("expect_column_unique_value_count_to_be_between", {"column": "text", "min_value": 1, "max_value": 4, **strict})
        )
        told.append(("expect_column_proportion_of_unique_values_to_be_between", {"column": "a", "min_value": 0.5, **strict}))
        told.append(("expect_column_proportion_of_non_null_values_to_be_between", {"column": "a", "min_value": 0.5, **strict}))
        told.append(("expect_table_row_count_to_be_between", {"min_value": 3, "max_value": 20, **strict}))
    quantiles = {"quantiles": [0.1, 0.5, 0.9], "value_ranges": [[0, 1], [None, 2], [1, None]]}
    told.append(("expect_column_quantile_values_to_be_between", {"column": "a", "quantile_ranges": quantiles}))
    told.append(
        (
            "expect_column_quantile_values_to_be_between",
            {"column": "whole", "quantile_ranges": quantiles, "allow_relative_error": "linear"},
        )
    )
    for kind in ("be_in_set", "contain_set", "equal_set"):
        told.append((f"expect_column_distinct_values_to_{kind}", {"column": "other", "value_set": ["", "UA", "ua", "Zürich"]}))
        told.append((f"expect_column_distinct_values_to_{kind}", {"column": "a", "value_set": [0, 1]}))
    common = {"column": "a", "value_set": [0, 2]}
    told += [("expect_column_most_common_value_to_be_in_set", {**common, "ties_okay": ties}) for ties in (True, False)]
    names = SCHEMA.names
    told += [
        ("expect_table_row_count_to_equal", {"value": 3}),
        ("expect_table_column_count_to_equal", {"value": len(names)}),
        ("expect_table_column_count_to_be_between", {"min_value": 2, "max_value": 9}),
        ("expect_column_to_exist", {"column": "flag"}),
        ("expect_column_to_exist", {"column": "flag", "column_index": 2}),
        ("expect_column_to_exist", {"column": "absent"}),
        ("expect_table_columns_to_match_set", {"column_set": names[::-1]}),
        ("expect_table_columns_to_match_set", {"column_set": names[:2], "exact_match": False}),
        ("expect_table_columns_to_match_ordered_list", {"column_list": names}),
        ("expect_table_columns_to_match_ordered_list", {"column_list": names[::-1]}),
    ]
    return told


def suite(expectations: list[tuple[str, dict[str, Any]]], severity: str) -> Suite:
    told = [{"type": kind, "kwargs": kwargs, "meta": {"severity": severity}} for kind, kwargs in expectations]
    return parse(json.dumps({"name": "s", "expectations": told}), "s")


BY_ROW = suite(of_the_column() + of_several_columns(), "quarantine")
OF_THE_WHOLE = suite(of_the_whole(), "block")
SUITES = {"by row": BY_ROW, "of the whole": OF_THE_WHOLE}


def by_great_expectations(definition: Suite, rows: pa.Table) -> list[tuple[bool, tuple[int, ...]]]:
    _quiet()
    import great_expectations

    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas(name="rows").add_dataframe_asset(name="s")
    batch = asset.add_batch_definition_whole_dataframe(name="b").get_batch({"dataframe": rows.to_pandas()})
    format_ = {"result_format": "COMPLETE", "exclude_unexpected_values": True}
    found = batch.validate(context.suites.add(_expectations(definition)), result_format=format_)
    by_place = {each.expectation_config.meta["position"]: each for each in found.results}
    broken = {
        place: each.exception_info for place, each in by_place.items() if "raised_exception': True" in str(each.exception_info)
    }
    assert not broken, [(definition.expectations[n].rule, str(info)[:300]) for n, info in broken.items()]
    ordered = [by_place[n] for n in range(len(definition.expectations))]
    return [(bool(each.success), tuple(each.result.get("unexpected_index_list") or ())) for each in ordered]


def compiled(definition: Suite, rows: pa.Table, at_once: int) -> list[tuple[bool, tuple[int, ...]]]:
    at_work = CompiledSuite(definition)
    for start in range(0, max(rows.num_rows, 1), at_once):
        at_work.add(rows.slice(start, at_once))
    return [(bool(each.success), each.rows) for each in at_work.judged()]


@pytest.mark.parametrize("kind", SUITES)
@given(drawn=TABLES, at_once=st.sampled_from([1, 7, 100]))
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_compiled_and_great_expectations_agree(kind: str, drawn: list[dict[str, Any]], at_once: int) -> None:
    definition, rows = SUITES[kind], pa.Table.from_pylist(drawn, SCHEMA)
    expected, found = by_great_expectations(definition, rows), compiled(definition, rows, at_once)
    differing = [
        (each.rule, f"Great Expectations {theirs}", f"compiled {ours}")
        for each, theirs, ours in zip(definition.expectations, expected, found, strict=True)
        if theirs != ours
    ]
    assert not differing, differing[:5]


def test_a_limit_beyond_doubles_is_exact_where_great_expectations_rounds_it() -> None:
    rows = pa.table({"big": pa.array([2**53, 2**53 + 1])})
    limit = suite([("expect_column_values_to_be_between", {"column": "big", "min_value": 2**53 + 1})], "quarantine")
    assert by_great_expectations(limit, rows) == [(True, ())]
    assert compiled(limit, rows, 2) == [(False, (0,))]


def test_every_supported_expectation_is_compared() -> None:
    compared = {each.type for definition in (BY_ROW, OF_THE_WHOLE) for each in definition.expectations}
    assert compared == set(COMPILERS)


def test_the_number_of_batches_does_not_matter() -> None:
    drawn = [{"whole": n % 7, "a": float(n % 5), "text": str(n % 11), "big": n, "flag": n % 2 == 0} for n in range(500)]
    rows = pa.Table.from_pylist(drawn, SCHEMA)
    for definition in (BY_ROW, OF_THE_WHOLE):
        assert compiled(definition, rows, 500) == compiled(definition, rows, 33)


@given(st.sampled_from(PATTERNS), st.lists(st.text(alphabet="UAaZb6 \n\r.\u0663éh", max_size=6), min_size=1, max_size=20))
@settings(deadline=None)
def test_a_pattern_finds_what_python_finds(pattern: str, texts: list[str]) -> None:
    import re

    found = pl.DataFrame({"text": texts}).select(contains("text", pattern)).to_series().to_list()
    assert found == [re.search(pattern, text) is not None for text in texts]


def test_rust_is_given_only_what_it_means_alike() -> None:
    assert rust("^[A-Z]{2}$") == r"\A(?:[A-Z]){2,2}(?:\n?\z)"
    assert rust(r"(?=U)UA") is None
    assert rust(r"\w+") is None
    assert rust("(?i)ua") is None


@pytest.mark.parametrize(
    ("kind", "kwargs", "told"),
    [
        (
            "expect_column_values_to_match_strftime_format",
            {"column": "text", "strftime_format": "%Y"},
            "has no compiled form: use one of",
        ),
        (
            "expect_column_values_to_be_between",
            {"column": "a", "min_value": 0, "row_condition": "b > 1"},
            "row_condition has no compiled",
        ),
    ],
)
def test_what_has_no_compiled_form_is_an_error_before_any_row(kind: str, kwargs: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        CompiledSuite(suite([(kind, kwargs)], "warn"))


def test_all_that_does_not_fit_the_columns_is_told_together() -> None:
    broken = suite(
        [
            ("expect_column_values_to_not_be_null", {"column": "absent"}),
            ("expect_column_values_to_be_between", {"column": "text", "min_value": 3}),
            ("expect_column_values_to_be_between", {"column": "a", "min_value": 3, "max_value": 1}),
            ("expect_column_values_to_match_regex", {"column": "a", "regex": "1"}),
            ("expect_column_values_to_be_in_set", {"column": "a"}),
        ],
        "warn",
    )
    with pytest.raises(ConfigurationError) as caught:
        CompiledSuite(broken).add(SCHEMA.empty_table())
    for told in ('no column "absent"', "limit 3 is int", "3 is above max_value 1", "this rule is for text", "'value_set'"):
        assert told in str(caught.value)
