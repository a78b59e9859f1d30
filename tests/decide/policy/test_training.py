from __future__ import annotations

import re
from datetime import timedelta

import pytest

from everloop.decide.policy import TrainingPolicy
from everloop.decide.training.space import Choice, Integers, LogUniform, Uniform


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (TrainingPolicy(spark_rows=10), "spark_rows is 10 and workers is 1"),
        (TrainingPolicy(part_at_most=timedelta(0)), "part_at_most is 0:00:00: it must be above 0, or None for shares alone"),
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
