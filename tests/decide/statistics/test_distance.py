import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from everloop.decide.statistics.distance import jensen_shannon


@given(st.lists(st.integers(0, 60), min_size=4, max_size=8), st.data())
def test_jensen_shannon_equals_scipy(first, data):
    second = data.draw(st.lists(st.integers(0, 60), min_size=len(first), max_size=len(first)))
    if sum(first) and sum(second):
        assert jensen_shannon(tuple(first), tuple(second)) == pytest.approx(jensenshannon(first, second, base=2), abs=1e-7)


def test_rounding_leads_neither_above_one_nor_below_zero():
    # Unlike in exact arithmetic, these shares add up to 1 + 4e-16, and those of the second pair give a divergence of -3e-17.
    apart = (7, 20, 22, 22, 26, 11, 9, 23, 2, 29, 11, 22, 27, 23, 14, 25, 6, 18, 6, 5, 17, 20)
    assert jensen_shannon(apart + (0,) * 22, (0,) * 22 + apart) == 1.0
    assert jensen_shannon((835475348, 485566155), (835475349, 485566155)) == 0.0
