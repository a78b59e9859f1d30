from __future__ import annotations

import re
from datetime import timedelta

import pytest

from everloop.decide.policy import Covariate, ExperimentPlan, FairnessPolicy, Metric, RetrainPolicy, TrainingPolicy
from everloop.decide.training.space import Choice, Integers, LogUniform, Uniform


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (TrainingPolicy(spark_rows=10), "spark_rows is 10 and workers is 1"),
        (TrainingPolicy(workers=0), "workers is 0: it must be 1 or more"),
        (TrainingPolicy(search={"eta": Uniform(0.3, 0.1)}), "low must be below high"),
        (TrainingPolicy(search={"eta": LogUniform(0.0, 0.1)}), "0 < low < high"),
        (TrainingPolicy(search={"max_depth": Integers(3, 3)}), "low must be below high"),
        (TrainingPolicy(search={"grow_policy": Choice(("depthwise",))}), "two values or more"),
        (TrainingPolicy(search={"max_bin": Integers(16, 64)}), "search sets max_bin"),
        (TrainingPolicy(candidates=({"max_bin": 16},)), "candidates sets max_bin"),
        (TrainingPolicy(search={"eta": Uniform(0.1, 0.3)}, parameters={"eta": 0.5}), "TrainingPolicy.parameters: eta is 0.5"),
        (
            TrainingPolicy(search={"max_depth": Integers(2, 4)}, candidates=({}, {"max_depth": 9})),
            r"candidates\[1\]: max_depth is 9",
        ),
    ],
)
def test_a_training_policy_that_does_not_hold_together_is_told(policy: TrainingPolicy, told: str) -> None:
    (problem,) = policy.problems()
    assert re.search(told, problem)


def test_a_sound_search_has_no_problem() -> None:
    search = {"max_depth": Integers(2, 4), "eta": LogUniform(0.01, 1), "grow_policy": Choice(("depthwise", "lossguide"))}
    sound = TrainingPolicy(search=search, parameters={"eta": 0.1}, candidates=({"max_depth": 2},), workers=2, spark_rows=1)
    assert sound.problems() == []


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


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (RetrainPolicy(k=4, n=3), "k=4 of n=3: 1 <= k <= n must hold"),
        (RetrainPolicy(k=0), "k=0 of n=3"),
        (RetrainPolicy(new_labels=0), "new_labels is 0: it must be 1 or more"),
        (RetrainPolicy(every=timedelta(days=27)), "every is 27 days, 0:00:00: it must be a day or more and not below cooldown"),
        (RetrainPolicy(every=timedelta(hours=23), cooldown=timedelta(0)), "every is 23:00:00"),
    ],
)
def test_a_retrain_policy_that_does_not_hold_together_is_told(policy: RetrainPolicy, told: str) -> None:
    (problem,) = policy.problems()
    assert told in problem


def test_a_sound_retrain_policy_has_no_problem() -> None:
    day = timedelta(days=1)
    assert RetrainPolicy().problems() == []
    assert RetrainPolicy(k=3, n=3, new_labels=1, every=day, cooldown=day).problems() == []


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (FairnessPolicy(selection_ratio=80), "selection_ratio is 80: it must lie in"),
        (FairnessPolicy(error_rate_difference=-0.1), "error_rate_difference is -0.1"),
        (FairnessPolicy(minimum=0), "minimum is 0: it must be 1 or more"),
        (FairnessPolicy(against="all"), 'against is "all": use "whole" or "groups"'),
    ],
)
def test_a_fairness_policy_that_does_not_hold_together_is_told(policy: FairnessPolicy, told: str) -> None:
    (problem,) = policy.problems()
    assert told in problem


def test_the_four_fifths_rule_is_one_policy() -> None:
    rule = FairnessPolicy.four_fifths("sex", "age_band", favourable=False)
    assert (rule.columns, rule.selection_ratio, rule.error_rate_difference) == (("sex", "age_band"), 0.8, None)
    assert rule.judges
    assert rule.problems() == []
