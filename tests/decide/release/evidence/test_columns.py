import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.release.evidence.columns import codes, failed, floats, present


def test_numbers_come_as_floats_and_nulls_as_nan() -> None:
    for values in ([1, None, 2.5, True], np.array([1, None, 2.5, True], dtype=object)):
        found = floats(values)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, [1.0, np.nan, 2.5, 1.0])
    assert floats([]).dtype == np.float64
    assert floats(np.array([1, 2], dtype=np.int32)).dtype == np.float64
    assert floats(np.array([1.5, 2.5], dtype=np.float32)).tolist() == [1.5, 2.5]
    assert floats(np.array([1.5, 2.5], dtype=np.float32)).dtype == np.float64


def test_a_row_failed_when_it_has_an_error_be_it_empty() -> None:
    found = failed({"error": [None, "boom", ""]})
    assert found.dtype == np.bool_
    assert found.tolist() == [False, True, True]
    assert failed({"error": []}).dtype == np.bool_


def test_what_is_not_null_is_there():
    for values in (["", None, "a", None], np.array(["", None, "a", None], dtype=object)):
        assert present(values).tolist() == [True, False, True, False]


def test_each_distinct_value_has_a_number_in_order_of_appearance() -> None:
    for values in (["b", "a", "b", None, "c", "a"], np.array(["b", "a", "b", None, "c", "a"], dtype=object)):
        found = codes(values)
        assert found.tolist() == [0, 1, 0, 2, 3, 1]
        assert found.dtype == np.intp
    assert codes([]).dtype == np.intp
    assert codes(np.array([7, 7, 3])).tolist() == [0, 0, 1]


@given(st.lists(st.integers(0, 9)))
def test_numbers_are_coded_as_any_other_values(numbers):
    assert codes(np.array(numbers, dtype=np.int64)).tolist() == codes(numbers).tolist()
