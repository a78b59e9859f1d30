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
        ({"name": "A/B"}, 'name is "A/B": lower-case letters'),
        ({"treatment": "aaaa"}, "treatment is aaaa, which is the control"),
        ({"weight": 1.0}, "weight is 1.0: it must lie between 0 and 1"),
        ({"power": 0.04}, "power is 0.04: it must be above alpha"),
        ({"effect": 0.0}, "effect is 0.0: the smallest difference that matters must be above 0"),
        ({"minimum_entities": 1}, "minimum_entities is 1: it must be 2 or more"),
        ({"segment_limit": 0}, "segment_limit is 0: it must be 1 or more"),
        ({"before": timedelta(0)}, "before is 0:00:00: it must be above 0"),
        ({"minimum_time": timedelta(days=30)}, "must not exceed maximum_time"),
        ({"metric": Metric.LATENCY_MS}, "no score explains latency_ms"),
    ],
)
def test_a_plan_of_an_experiment_that_does_not_hold_together_is_told(changes: dict[str, object], told: str) -> None:
    (problem,) = plan(**changes).problems()
    assert told in problem


def test_a_sound_plan_has_no_problem_sized_or_not() -> None:
    sound = (plan(), plan(rows=1_000), plan(metric=Metric.LATENCY_MS, covariate=Covariate.BEFORE))
    assert [one.problems() for one in sound] == [[], [], []]
