"""The token bucket: what it lets through in any span, and that the wait it tells is enough and no more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.serve.access.limits import Limit, TokenBucket

LIMITS = st.builds(Limit, st.floats(0.01, 1e4), st.integers(1, 1000).map(float))
PAUSES = st.lists(st.floats(0, 5), min_size=1, max_size=200)


def test_a_new_bucket_is_full_and_refills_by_its_rate() -> None:
    bucket = TokenBucket(Limit(rate=2.0, burst=3.0))
    assert [bucket.take(100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(100.0) == pytest.approx(0.5)
    assert bucket.take(100.25) == pytest.approx(0.25)
    assert bucket.take(100.5) == 0.0
    assert bucket.take(100.5) > 0.0


@given(LIMITS, PAUSES)
def test_no_span_lets_more_through_than_the_burst_and_the_rate_give(limit: Limit, pauses: list[float]) -> None:
    bucket, now, passed = TokenBucket(limit), 0.0, []
    for pause in pauses:
        now += pause
        if bucket.take(now) == 0.0:
            passed.append(now)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= limit.burst + limit.rate * (passed[last] - start) + 1e-6


@given(LIMITS, PAUSES)
def test_the_wait_that_is_told_is_enough_and_half_of_it_is_not(limit: Limit, pauses: list[float]) -> None:
    for share, passes in ((1 + 1e-6, True), (0.5, False)):
        bucket, now = TokenBucket(limit), 0.0
        for pause in pauses:
            now += pause
            while bucket.take(now) == 0.0:
                pass
        wait = bucket.take(now)
        if wait * share > 1e-6:  # below that the clock's own resolution decides
            assert (bucket.take(now + wait * share) == 0.0) is passes


def test_a_refused_request_takes_nothing() -> None:
    bucket = TokenBucket(Limit(rate=1.0, burst=1.0))
    bucket.take(0.0)
    assert all(bucket.take(t / 10) > 0.0 for t in range(1, 10))
    assert bucket.take(1.0 + 1e-9) == 0.0
