"""Whose fault an error is, which views count as missing, and what entities show of each."""

import numpy as np
import pytest

from everloop.decide.release.evidence import LATENCY_EDGES, ByUnit
from everloop.decide.release.evidence.served import Served
from everloop.decide.statistics.clusters import Clusters


def rows(**columns):
    """Rows of the challenger's arm, one entity and request each, answered in 5 ms without a flag."""
    count = len(next(iter(columns.values())))
    plain = {
        "entity": [f"e{i}" for i in range(count)], "request_id": [f"q{i}" for i in range(count)], "arm": ["challenger"] * count,
        "error": [None] * count, "shadow_release": [None] * count, "shadow_score": [None] * count, "latency_ms": [5.0] * count,
        "flags": [()] * count,
    }  # fmt: skip
    return plain | columns


def of(columns, ours=True, waiting=None):
    """`ours`: of all rows."""
    count = len(columns["entity"])
    return Served.of(columns, np.full(count, ours), None if waiting is None else np.full(count, waiting))


def arm(served, mask=None, views=None, slow=np.inf):
    return served.arm(np.ones(len(served.entity), dtype=bool) if mask is None else np.array(mask), views, slow)


def test_entities_and_requests_are_told_apart_by_numbers():
    served = of(rows(entity=["ann", "bob", "ann"], request_id=["q", "q", "r"]))
    assert served.entity.tolist() == [0, 1, 0]
    assert served.request.tolist() == [0, 0, 1]


ASKED = {"error": "boom", "shadow_release": "old", "shadow_score": None}
NOT_ASKED = ASKED | {"shadow_release": None}


@pytest.mark.parametrize(
    ("row", "ours", "waiting", "shared"),
    [
        (ASKED, True, None, True),
        (ASKED, False, None, True),
        (ASKED | {"error": ""}, True, None, True),
        (ASKED | {"error": None}, True, None, False),
        (ASKED | {"error": None}, False, None, False),
        (ASKED | {"shadow_score": 0.0}, True, None, False),
        (ASKED | {"shadow_score": 0.7}, True, True, False),
        (ASKED | {"shadow_score": 0.7}, False, None, False),
        # Nobody knows: the doubt is held against the release on trial.
        (NOT_ASKED, True, None, False),
        (NOT_ASKED, True, False, False),
        (NOT_ASKED, False, None, True),
        (NOT_ASKED, False, False, True),
        # Nobody knows yet.
        (NOT_ASKED, True, True, True),
        (NOT_ASKED | {"error": None}, False, True, False),
    ],
)
def test_an_error_is_shared_where_the_other_release_was_asked_and_had_no_score_either(row, ours, waiting, shared):
    served = of(rows(**{name: [value] for name, value in row.items()}), ours, waiting)
    assert served.also_failed.tolist() == [shared]
    assert served.failed.tolist() == [row["error"] is not None]
    found = arm(served)
    assert (found.shared_errors, found.errors) == (int(shared), int(row["error"] is not None and not shared))
    assert found.by_entity.errors == (Clusters() if shared else Clusters.of([1], [found.errors]))


def test_an_arm_counts_its_own_rows_alone():
    served = of(
        rows(
            entity=["a", "a", "b", "c"], error=["boom", None, "boom", "boom"], flags=[("missing:w",), (), ("missing:w",), ()],
            shadow_release=["old", None, "old", None],
        )
    )  # fmt: skip
    found = arm(served, [True, True, False, True], slow=4.0)
    assert (found.requests, found.errors, found.shared_errors, found.incomplete, found.timed) == (3, 1, 1, 1, 3)
    assert found.comparable == 2
    assert found.by_entity.errors == Clusters.of([1, 1], [0, 1])
    assert found.by_entity.missing == Clusters.of([2, 1], [1, 0])
    assert found.by_entity.slow == Clusters.of([2, 1], [2, 1])
    nothing = arm(served, [False] * 4)
    assert (nothing.requests, nothing.errors, nothing.timed, nothing.by_entity.errors) == (0, 0, 0, Clusters())


def test_batches_of_time_are_units_where_they_are_given():
    served = of(rows(entity=["a", "b", "c"], error=["boom", None, None], flags=[(), ("missing:w",), ()]))
    mask, batch = np.array([True, True, False]), np.array([4, 4, 2])
    found = served.arm(mask, None, 4.0, batch)
    assert found.by_batch.errors == Clusters.of([2], [1])
    assert found.by_batch.missing == Clusters.of([2], [1])
    assert found.by_batch.slow == Clusters.of([2], [2])
    assert found.by_entity.errors == Clusters.of([1, 1], [1, 0])
    assert served.arm(mask, None, 4.0).by_batch == ByUnit()


@pytest.mark.parametrize(
    ("flags", "views", "missing"),
    [
        (("missing:w",), None, True),
        (("features_unavailable",), None, True),
        (("challenger_failed",), None, False),
        ((), None, False),
        (None, None, False),
        (("missing:w",), {"w"}, True),
        (("stale:w", "late"), {"w", "x"}, True),
        (("early:w",), {"w"}, True),
        (("missing:w",), {"x"}, False),
        (("missing:w",), set(), False),
        (("features_unavailable",), {"w"}, False),
        ((), {"w"}, False),
        (None, {"w"}, False),
    ],
)
def test_a_row_lacks_a_feature_where_a_view_that_counts_gave_nothing_fresh(flags, views, missing):
    for held in (flags, None if flags is None else np.array(flags, dtype=object)):
        assert arm(of(rows(flags=[held])), views=views).incomplete == int(missing)


def test_the_first_timed_row_of_a_request_stands_for_its_latency():
    served = of(
        rows(
            request_id=["q", "q", "q", "r", "s"], entity=["a", "b", "b", "c", "c"], latency_ms=[None, 3.0, 900.0, 7.0, None],
        )
    )  # fmt: skip
    found = arm(served, slow=3.0)
    expected = np.bincount(np.searchsorted(LATENCY_EDGES, [3.0, 7.0]), minlength=len(LATENCY_EDGES) + 1)
    assert found.latency == tuple(expected.tolist())
    # The entity is that of the timed row, and what takes exactly the limit is not slow.
    assert found.by_entity.slow == Clusters.of([1, 1], [0, 1])


def test_slow_is_what_one_in_a_hundred_rows_exceeds():
    served = of(rows(latency_ms=[*np.arange(1.0, 202.0), None, np.inf]))
    mask = np.ones(203, dtype=bool)
    assert served.slow(mask) == pytest.approx(199.0)
    assert served.slow(np.arange(203) < 101) == pytest.approx(100.0)
    assert np.isnan(served.slow(np.arange(203) == 201))
    assert np.isnan(served.slow(~mask))


def test_without_a_timed_row_nothing_is_slow():
    served = of(rows(latency_ms=[None, None]))
    found = arm(served, slow=served.slow(np.ones(2, dtype=bool)))
    assert (found.timed, found.by_entity.slow) == (0, Clusters())


def test_no_rows_are_no_evidence():
    found = arm(of(rows(entity=[])))
    assert (found.requests, found.errors, found.incomplete, found.timed) == (0, 0, 0, 0)
    assert found.by_entity.missing == Clusters()
