from __future__ import annotations

import re
from datetime import timedelta

import pytest

from everloop.decide.policy import RetrainPolicy, TrainingPolicy
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
