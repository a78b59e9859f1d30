"""From rows of the log to sums: what each row is worth, whose it is, and what the control would have expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from everloop.decide.experiment.measures import covariate_of, metric_of
from everloop.decide.experiment.observed import Observed, observe
from everloop.decide.policy import CostMatrix, Covariate, Metric

COST = CostMatrix(false_positive=1.0, false_negative=3.0)
THRESHOLD = 0.25
NAN = np.nan


def rows(**changes: Any) -> dict[str, Any]:
    """Two control rows of one entity, two treatment rows of another; the second of each pair is in the shadow sample."""
    return {
        "request_id": ["q1", "q2", "q3", "q4"],
        "entity": ["ann", "ann", "bob", "bob"],
        "arm": ["champion", "champion", "challenger", "challenger"],
        "score": [0.1, 0.6, 0.4, 0.2],
        "decision": [False, True, True, False],
        "shadow_release": [None, "bbbb", None, "aaaa"],
        "shadow_score": [None, 0.7, None, 0.5],
        "flags": [(), ("stale:weather",), (), ()],
        "error": [None, None, None, None],
        "latency_ms": [2.0, 3.0, 4.0, 5.0],
        "label": [True, False, None, True],
    } | changes


def seen(given: Mapping[str, Any], **changes: Any) -> Observed:
    asked = {"metric": Metric.COST, "covariate": Covariate.CONTROL, "cost": COST, "threshold": THRESHOLD}
    return observe(given, **(asked | changes))


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (Metric.COST, [3.0, 1.0, NAN, 3.0]),
        (Metric.ERROR_RATE, [1.0, 1.0, NAN, 1.0]),
        (Metric.SELECTION_RATE, [0.0, 1.0, 1.0, 0.0]),
        (Metric.LATENCY_MS, [2.0, 3.0, 4.0, 5.0]),
    ],
)
def test_what_a_row_is_worth(metric: Metric, expected: list[float]) -> None:
    assert metric_of(rows(), metric, COST, THRESHOLD) == pytest.approx(expected, nan_ok=True)


def test_the_covariate_is_what_the_controls_score_expects_of_the_same_rows_of_both_arms() -> None:
    # A positive decision at 0.6 costs 1 where the label is negative; at 0.5 the same.
    assert covariate_of(rows(), Metric.COST, COST, THRESHOLD) == pytest.approx([NAN, 0.4, NAN, 0.5], nan_ok=True)
    below = covariate_of(rows(score=[0.1, 0.2, 0.4, 0.2]), Metric.COST, COST, THRESHOLD)
    assert below[1] == pytest.approx(3 * 0.2)
    assert covariate_of(rows(), Metric.SELECTION_RATE, COST, THRESHOLD) == pytest.approx([NAN, 1, NAN, 1], nan_ok=True)


def test_rows_are_summed_by_entity_and_only_where_they_have_a_metric() -> None:
    found = seen(rows())
    assert (found.control.sums.entities, found.control.sums.rows, found.control.sums.mean) == (1, 2, 2.0)
    assert (found.treatment.sums.entities, found.treatment.sums.rows, found.treatment.sums.mean) == (1, 1, 3.0)
    assert (found.entities.baseline, found.entities.candidate, found.crossed) == (1, 1, 0)
    assert found.treatment.answers.requests == 2
    assert (found.control.answers.incomplete, found.treatment.answers.incomplete) == (1, 0)


def test_earlier_rows_of_the_same_entities_are_a_covariate_and_of_others_are_none() -> None:
    past = rows(entity=["ann", "cid", "ann", "cid"], label=[False, True, False, True])
    found = seen(rows(), covariate=Covariate.BEFORE, before=past)
    assert found.control.sums.covariate == pytest.approx((0.0 + 1.0) / 2)
    assert np.isnan(found.treatment.sums.covariate)
    assert (found.control.sums.mean, found.treatment.sums.mean) == (2.0, 3.0)
    assert seen(rows(), covariate=Covariate.NONE, before=past).control.sums.sums[2] == 0


def test_a_row_that_the_treatment_failed_counts_for_it_with_the_answer_that_was_given() -> None:
    failed = rows(
        error=[None, None, "ValueError: no clock", None],
        decision=[False, True, None, False],
        score=[0.1, 0.6, None, 0.2],
        shadow_release=[None, "bbbb", "aaaa", "aaaa"],
        shadow_score=[None, 0.7, 0.1, 0.5],
        label=[True, False, True, True],
    )
    found = seen(failed)
    assert found.treatment.answers.errors == 1
    assert found.treatment.sums.rows == 2
    assert metric_of(failed, Metric.COST, COST, THRESHOLD)[2] == 3.0


def test_a_row_that_nobody_answered_has_no_metric() -> None:
    failed = rows(error=["down", None, "down", None], decision=[None, True, None, False], score=[None, 0.6, None, 0.2])
    assert np.isnan(metric_of(failed, Metric.SELECTION_RATE, COST, THRESHOLD)[[0, 2]]).all()
    assert seen(failed).control.answers.errors == 1


def test_rows_of_one_request_share_its_latency_and_count_once() -> None:
    found = seen(rows(request_id=["q1", "q1", "q3", "q3"]), metric=Metric.LATENCY_MS, covariate=Covariate.NONE)
    assert (found.control.sums.rows, found.control.sums.mean) == (1, 2.0)
    assert found.treatment.answers.timed == 1


def test_an_entity_that_met_both_arms_is_told() -> None:
    assert seen(rows(entity=["ann", "ann", "ann", "bob"])).crossed == 1


def test_segments_hold_their_own_rows() -> None:
    values = {"colour": np.array(["red", "blue", "red", "red"])}
    found = seen(rows(), segments=values)
    assert {key: sums.rows for key, sums in found.control.segments.items()} == {("colour", "red"): 1, ("colour", "blue"): 1}
    assert {key: sums.entities for key, sums in found.treatment.segments.items()} == {("colour", "red"): 1}


def test_batches_of_different_entities_add_up_in_any_order() -> None:
    def half(places: list[int]) -> Observed:
        part = {name: [column[i] for i in places] for name, column in rows().items()}
        values = {"colour": np.array(["red", "blue", "red", "red"])[places]}
        return seen(part, segments=values)

    whole = half([0, 1, 2, 3])
    for merged in (half([0, 1]) + half([2, 3]), half([2, 3]) + half([0, 1])):
        assert merged.control.sums.products == pytest.approx(whole.control.sums.products)
        assert merged.treatment.answers == whole.treatment.answers
        assert merged.entities == whole.entities
        assert merged.control.segments.keys() == whole.control.segments.keys()


def test_no_row_shows_nothing() -> None:
    found = seen({name: [] for name in rows()})
    assert found.control.sums.entities == found.treatment.sums.entities == found.crossed == 0
