from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.decide.policy import TrainingPolicy
from everloop.errors import DataError
from everloop.learn.split import CALIBRATION, FIT, HOLDOUT, LEARNT, PURGED, VALIDATION, split

POLICY = TrainingPolicy(validation=0.1, calibration=0.1, holdout=0.2, minimum_rows=10)
HOUR = np.timedelta64(1, "h")


def moments(hours: list[int]) -> np.ndarray:
    return np.datetime64("2013-01-01T00", "us") + np.array(hours) * HOUR


def test_parts_follow_each_other_in_time_by_the_policys_shares() -> None:
    events = moments(list(range(100)))
    parts = split(events, events, POLICY)
    assert parts.counts() == {FIT: 60, VALIDATION: 10, CALIBRATION: 10, HOLDOUT: 20, PURGED: 0}
    assert parts.holdout_from == events[80]
    assert list(dict.fromkeys(parts.names.tolist())) == [FIT, VALIDATION, CALIBRATION, HOLDOUT]


def test_no_part_after_the_fitting_rows_covers_more_time_than_told_and_the_rest_is_fitted_on() -> None:
    events = moments(list(range(1000)))
    longest = timedelta(hours=80)
    parts = split(events, events, replace(POLICY, part_at_most=longest))
    assert parts.counts() == {FIT: 760, VALIDATION: 80, CALIBRATION: 80, HOLDOUT: 80, PURGED: 0}
    assert parts.holdout_from == events[920]
    longer = replace(POLICY, part_at_most=timedelta(hours=250))
    assert split(events, events, longer).names.tolist() == split(events, events, POLICY).names.tolist()


def test_a_part_that_its_share_keeps_short_is_not_made_longer() -> None:
    events = moments(list(range(1000)))
    parts = split(events, events, replace(POLICY, calibration=0.02, part_at_most=timedelta(hours=80)))
    assert parts.counts() == {FIT: 820, VALIDATION: 80, CALIBRATION: 20, HOLDOUT: 80, PURGED: 0}


def test_a_label_known_only_after_the_next_part_began_is_purged() -> None:
    events = moments(list(range(100)))
    parts = split(events, events + 5 * HOUR, POLICY)
    assert parts.counts() == {FIT: 55, VALIDATION: 5, CALIBRATION: 5, HOLDOUT: 20, PURGED: 15}


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 20)), min_size=60, max_size=200),
    st.none() | st.integers(15, 100),
    st.randoms(use_true_random=False),
)
def test_everything_learnt_was_known_before_the_first_held_out_row_was_asked_for(rows, longest, random) -> None:
    random.shuffle(rows)
    policy = POLICY if longest is None else replace(POLICY, part_at_most=timedelta(hours=longest))
    events = moments([event for event, _ in rows])
    labels = events + np.array([delay for _, delay in rows]) * HOUR
    try:
        parts = split(events, labels, policy)
    except DataError:
        return
    for earlier, later in ((FIT, VALIDATION), (VALIDATION, CALIBRATION), (CALIBRATION, HOLDOUT)):
        assert labels[parts[earlier]].max() < events[parts[later]].min()
    assert labels[parts.learnt].max() < parts.holdout_from <= events[parts[HOLDOUT]].min()
    assert sum(parts.counts().values()) == len(rows)
    assert set(parts.names) <= {*LEARNT, HOLDOUT, PURGED}


def test_the_order_of_the_rows_does_not_matter() -> None:
    events = moments(list(range(100)))
    order = np.random.default_rng(1).permutation(100)
    shuffled = split(events[order], events[order] + 3 * HOUR, POLICY)
    assert shuffled.names.tolist() == split(events, events + 3 * HOUR, POLICY).names[order].tolist()


def test_too_few_rows_are_refused_with_the_number_wanted() -> None:
    with pytest.raises(DataError, match=r"9 labelled rows, TrainingPolicy.minimum_rows is 10"):
        split(moments(list(range(9))), moments(list(range(9))), POLICY)


def test_labels_that_ripen_too_slowly_for_the_parts_are_refused() -> None:
    events = moments(list(range(100)))
    with pytest.raises(DataError, match="validation"):
        split(events, events + 30 * HOUR, POLICY)
