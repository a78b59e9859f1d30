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
