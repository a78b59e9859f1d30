from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from everloop.errors import ConfigurationError, DataError
from everloop.learn.encode import Encoder, known_values, model_columns
from everloop.release import FeaturePlan, RequestFunctionPlan, ViewPlan

ENCODER = Encoder(("carrier", "speed", "late"), {"carrier": ("AA", "UA")})


def view(name: str, **features: str) -> ViewPlan:
    return ViewPlan(name=name, table=f"online.{name}", join_keys={"carrier": "string"}, features=features, ttl_seconds=None)


def plan(*views: ViewPlan) -> FeaturePlan:
    clock = RequestFunctionPlan(name="clock", function="clock", inputs={"at": "timestamp"}, features={"minute": "int"})
    return FeaturePlan(service="s", request={"carrier": "string", "at": "timestamp"}, views=views, functions=(clock,))


def test_a_known_category_is_its_position_and_everything_else_is_missing() -> None:
    rows = pa.table({"carrier": ["UA", "AA", "ZZ", None], "speed": [1, 2, 3, None], "late": [True, False, None, True]})
    expected = [[1, 1, 1], [0, 2, 0], [np.nan, 3, np.nan], [np.nan, np.nan, 1]]
    np.testing.assert_array_equal(ENCODER.table(rows), np.array(expected, dtype=np.float32))


def test_the_order_of_the_rows_columns_does_not_matter() -> None:
    rows = pa.table({"late": [True], "speed": [2.5], "carrier": ["UA"], "more": ["x"]})
    assert ENCODER.table(rows).tolist() == [[1.0, 2.5, 1.0]]


def test_no_rows_make_an_empty_matrix_of_full_width() -> None:
    rows = pa.table({"carrier": pa.array([], pa.string()), "speed": pa.array([], pa.float64()), "late": pa.array([], pa.bool_())})
    assert ENCODER.table(rows).shape == (0, 3)


def test_a_lost_input_is_named() -> None:
    with pytest.raises(DataError, match=r"\['speed', 'late'\]"):
        ENCODER.table(pa.table({"carrier": ["AA"]}))


def test_known_values_are_sorted_without_the_null() -> None:
    pieces = [pa.chunked_array([["b", None], ["a", "b"]]), pa.chunked_array([["b", "c"]])]
    assert known_values(pieces) == ("a", "b", "c")


def test_inputs_are_the_categories_and_then_the_features_in_the_plans_order() -> None:
    found = model_columns(plan(view("w", temp="float"), view("d", rate="float", kind="string")), ("carrier", "d__kind"))
    assert found == ("carrier", "d__kind", "w__temp", "d__rate", "clock__minute")


@pytest.mark.parametrize("name", ["label", "label_time"])
def test_the_outcome_is_no_input(name: str) -> None:
    asked = replace(plan(view("d", rate="float")), request={"carrier": "string", name: "bool"})
    with pytest.raises(ConfigurationError, match=f'"{name}" is an input: it is what the examples call the outcome') as error:
        model_columns(asked, ("carrier",))
    assert str(error.value).count("is an input") == 1
    with pytest.raises(ConfigurationError, match=f'"{name}" is an input'):
        model_columns(plan(view("d", rate="float")), (name,))
    assert "d__label" in model_columns(plan(view("d", label="float")), ())


def test_text_features_and_unknown_categories_are_refused_together() -> None:
    with pytest.raises(ConfigurationError) as error:
        model_columns(plan(view("d", kind="string")), ("carier",))
    assert 'feature "d__kind" has type "string"' in str(error.value)
    assert 'category "carier" is neither' in str(error.value)
