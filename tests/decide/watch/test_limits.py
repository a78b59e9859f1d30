import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome
from everloop.decide.watch.limits import either_way, reached


def moved(value, low, high):
    return Estimate(value=value, low=low, high=high, rows=500)


@pytest.mark.parametrize(
    ("value", "low", "high", "outcome"),
    [
        (0.2, 0.01, 0.4, Outcome.FAIL),
        (0.2, 0.0, 0.4, Outcome.INCONCLUSIVE),
        (0.19, 0.18, 0.21, Outcome.INCONCLUSIVE),
        (0.19, 0.18, 0.2, Outcome.PASS),
        (0.0, -0.3, 0.3, Outcome.INCONCLUSIVE),
        (-0.5, -0.6, -0.4, Outcome.PASS),
    ],
)
def test_a_limit_is_reached_where_a_move_is_shown_and_kept_where_none_so_large_is_possible(value, low, high, outcome):
    assert reached(moved(value, low, high), 0.2) is outcome


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1))
def test_a_move_either_way_is_as_bad_as_the_worse_of_both(value, below, above, limit):
    found = moved(value, value - below, value + above)
    both = [reached(found, limit), reached(-found, limit)]
    assert either_way(found, limit) is either_way(-found, limit)
    assert either_way(found, limit) is max(both, key=[Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL].index)
    assert (either_way(found, limit) is Outcome.PASS) == (-limit <= found.low and found.high <= limit and abs(value) < limit) or (
        abs(value) == limit
    )


def test_more_is_never_shown_by_a_wider_interval():
    narrow, wide = moved(0.3, 0.1, 0.5), moved(0.3, -0.1, 0.7)
    assert (reached(narrow, 0.2), reached(wide, 0.2)) == (Outcome.FAIL, Outcome.INCONCLUSIVE)
