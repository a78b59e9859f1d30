from __future__ import annotations

from datetime import timedelta

import pytest

from everloop.decide.policy import Covariate, ExperimentPlan, Metric


def plan(**changes: object) -> ExperimentPlan:
    given = {"name": "ab", "control": "aaaa", "treatment": "bbbb", "metric": Metric.COST, "effect": 0.1}
    return ExperimentPlan(**(given | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "A/B"}, '.name is "A/B": lower-case letters, digits, _ and - only'),
        ({"name": "x" * 64}, f'.name is "{"x" * 64}": lower-case letters, digits, _ and - only'),
        ({"treatment": "aaaa"}, ".treatment is aaaa, which is the control: name another release"),
        ({"weight": 1.0}, ".weight is 1.0: it must lie between 0 and 1, both excluded"),
        ({"weight": 0.0}, ".weight is 0.0: it must lie between 0 and 1, both excluded"),
        ({"alpha": 0.0}, ".alpha is 0.0: it must lie between 0 and 1, both excluded"),
        ({"power": 1.0}, ".power is 1.0: it must lie between 0 and 1, both excluded"),
        ({"power": 0.05}, ".power is 0.05: it must be above alpha, 0.05"),
        ({"effect": 0.0}, ".effect is 0.0: the smallest difference that matters must be above 0"),
        ({"rows": -1}, ".rows is -1: it must be 0 or more"),
        ({"minimum_entities": 1}, ".minimum_entities is 1: it must be 2 or more"),
        ({"segment_limit": 0}, ".segment_limit is 0: it must be 1 or more"),
        ({"before": timedelta(0)}, ".before is 0:00:00: it must be above 0"),
        (
            {"minimum_time": timedelta(days=30)},
            ": minimum_time 30 days, 0:00:00 must not exceed maximum_time 28 days, 0:00:00",
        ),
        ({"minimum_time": -timedelta(days=1)}, ": minimum_time -1 day, 0:00:00 must not exceed maximum_time 28 days, 0:00:00"),
        ({"metric": Metric.LATENCY_MS}, '.covariate is "control", and no score explains latency_ms: use "before" or "none"'),
    ],
)
def test_a_plan_of_an_experiment_that_does_not_hold_together_is_told(changes: dict[str, object], told: str) -> None:
    assert plan(**changes).problems() == [f"ExperimentPlan{told}"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rows": 1_000, "minimum_entities": 2, "segment_limit": 1, "name": "0"},
        {"metric": Metric.LATENCY_MS, "covariate": Covariate.BEFORE},
        {"minimum_time": timedelta(0), "maximum_time": timedelta(0)},
        {"minimum_time": timedelta(days=28), "before": timedelta(days=1)},
    ],
)
def test_a_sound_plan_has_no_problem_sized_or_not(changes: dict[str, object]) -> None:
    assert plan(**changes).problems() == []


def test_every_problem_is_told_at_once() -> None:
    assert len(plan(name="", weight=2, alpha=2, effect=-1, rows=-1, minimum_entities=0).problems()) == 7


def test_a_metric_knows_whether_it_waits_for_labels_and_whether_it_is_a_share() -> None:
    assert [metric for metric in Metric if metric.labelled] == [Metric.COST, Metric.ERROR_RATE]
    assert [metric for metric in Metric if metric.rate] == [Metric.ERROR_RATE, Metric.SELECTION_RATE]
