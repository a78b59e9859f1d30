"""A request is held to what a batch is held to: the predicates say of each row what the compiled suite says."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.checks.test_compiled import BY_ROW, ROW, SCHEMA
from everloop.adapters.checks.compiled import CompiledSuite
from everloop.adapters.checks.definition import Suite
from everloop.serve.reading.checks import _COMPILERS, compile_suite

FIELDS = {"text": "string", "number": "float", "whole": "int", "big": "int", "flag": "bool", "time": "timestamp"}
EXPECTATIONS = [each for each in BY_ROW.expectations if each.type in _COMPILERS and each.column in FIELDS]
SUITE = Suite(name="s", expectations=EXPECTATIONS)
TEXT = json.dumps({"expectations": [{"type": e.type, "kwargs": e.kwargs, "meta": e.meta} for e in EXPECTATIONS]}).encode()


@given(st.lists(ROW, min_size=1, max_size=30))
@settings(deadline=None, max_examples=60)
def test_predicates_and_the_compiled_suite_agree_on_every_row(drawn: list[dict[str, Any]]) -> None:
    # A request has no NaN: JSON cannot say it.
    rows = pl.DataFrame(pl.from_arrow(pa.Table.from_pylist(drawn, SCHEMA))).fill_nan(None).to_arrow().cast(SCHEMA)
    at_work = CompiledSuite(SUITE)
    at_work.add(rows)
    for check, expectation, found in zip(compile_suite(TEXT, FIELDS), EXPECTATIONS, at_work.judged(), strict=True):
        values = rows[check.field].to_pylist()
        broken = tuple(n for n, value in enumerate(values) if not check.holds(value))
        assert broken == found.rows, (expectation.rule, [values[n] for n in {*broken} ^ {*found.rows}])


def test_every_predicate_is_compared() -> None:
    assert {each.type for each in EXPECTATIONS} == set(_COMPILERS)
