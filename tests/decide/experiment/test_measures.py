"""What a row of the log is worth in an experiment, and what the control would have expected of it."""

from __future__ import annotations

import numpy as np
import pytest

from decide.experiment.worlds import COST, THRESHOLD, rows
from everloop.decide.experiment.measures import covariate_of, latency_of, metric_of
from everloop.decide.policy import Metric

NAN = np.nan


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


def test_a_row_that_the_treatment_failed_is_worth_what_the_control_decided_in_its_place() -> None:
    failed = rows(
        error=[None, None, "ValueError: no clock", "down"],
        decision=[False, True, None, None],
        shadow_score=[None, 0.7, 0.1, THRESHOLD],
        label=[True, False, True, True],
    )
    assert metric_of(failed, Metric.SELECTION_RATE, COST, THRESHOLD).tolist() == [0, 1, 0, 1]
    assert metric_of(failed, Metric.COST, COST, THRESHOLD).tolist() == [3, 1, 3, 0]
    assert metric_of(failed, Metric.ERROR_RATE, COST, THRESHOLD).tolist() == [1, 1, 1, 0]


def test_a_row_that_nobody_answered_has_no_metric() -> None:
    failed = rows(error=["down", None, "down", None], decision=[None, True, None, False], shadow_score=[0.9, 0.7, None, 0.5])
    for metric in (Metric.SELECTION_RATE, Metric.COST):
        assert np.isnan(metric_of(failed, metric, COST, THRESHOLD)).tolist() == [True, False, True, False]


def test_a_score_at_the_threshold_is_decided_positive_and_costs_what_its_chance_says() -> None:
    given = rows(score=[0.1, THRESHOLD, 0.4, 0.2], shadow_score=[None, 0.7, None, 0.1])
    assert covariate_of(given, Metric.SELECTION_RATE, COST, THRESHOLD) == pytest.approx([NAN, 1, NAN, 0], nan_ok=True)
    assert covariate_of(given, Metric.COST, COST, THRESHOLD) == pytest.approx([NAN, 0.75, NAN, 0.3], nan_ok=True)
    assert covariate_of(given, Metric.ERROR_RATE, COST, THRESHOLD) == pytest.approx([NAN, 0.75, NAN, 0.1], nan_ok=True)


def test_a_sampled_row_that_the_control_could_not_score_has_no_covariate() -> None:
    given = rows(score=[0.1, None, 0.4, 0.2])
    assert np.isnan(covariate_of(given, Metric.COST, COST, THRESHOLD)).tolist() == [True, True, True, False]


def test_a_latency_counts_at_the_first_row_of_a_request_in_each_arm() -> None:
    given = rows(request_id=["q2", "q1", "q2", "q1"] * 2, arm=["champion"] * 4 + ["challenger"] * 4, latency_ms=np.arange(8.0))
    expected = [0, 1, NAN, NAN, 4, 5, NAN, NAN]
    assert latency_of(given) == pytest.approx(expected, nan_ok=True)
    assert metric_of(given, Metric.LATENCY_MS, COST, THRESHOLD) == pytest.approx(expected, nan_ok=True)
    assert latency_of(rows(latency_ms=[2.0, None, 4.0, 5.0])) == pytest.approx([2, NAN, 4, 5], nan_ok=True)


def test_no_row_has_no_measure() -> None:
    nothing = {name: [] for name in rows()}
    for metric in Metric:
        assert metric_of(nothing, metric, COST, THRESHOLD).shape == (0,)
    assert covariate_of(nothing, Metric.COST, COST, THRESHOLD).shape == (0,)
