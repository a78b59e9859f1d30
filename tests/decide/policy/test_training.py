from __future__ import annotations

from datetime import timedelta

import pytest

from everloop.decide.policy import TrainingPolicy
from everloop.decide.training.space import Choice, Integers, LogUniform, Uniform

SHARES = ("validation", "calibration", "holdout")
COUNTS = ("rounds", "early_stopping", "checkpoint_rounds", "trials", "tuning_rounds", "memory_mb", "workers")
BINS = " sets max_bin: set it in parameters, since all trials share the binned rows"


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (TrainingPolicy(spark_rows=10), ".spark_rows is 10 and workers is 1: give it 2 workers or more"),
        (TrainingPolicy(part_at_most=timedelta(0)), ".part_at_most is 0:00:00: it must be above 0, or None for shares alone"),
        *((TrainingPolicy(**{name: 0}), f".{name} is 0: it must be 1 or more") for name in COUNTS),
        *((TrainingPolicy(**{name: -0.1}), f".{name} is -0.1: it must lie in [0, 1]") for name in SHARES),
        (
            TrainingPolicy(validation=0.25, calibration=0.25, holdout=0.375),
            " keeps more than 0.8 of the rows from fitting: lower validation, calibration or holdout",
        ),
        (TrainingPolicy(search={"max_bin": Integers(16, 64)}), f".search{BINS}"),
        (TrainingPolicy(candidates=({}, {"max_bin": 16})), f".candidates{BINS}"),
        (
            TrainingPolicy(search={"eta": Uniform(0.3, 0.1)}),
            f".search: eta is {Uniform(0.3, 0.1)}: {Uniform(0.3, 0.1).problem()}",
        ),
        (
            TrainingPolicy(search={"grow_policy": Choice(("depthwise",))}),
            f".search: grow_policy is {Choice(('depthwise',))}: {Choice(('depthwise',)).problem()}",
        ),
        (
            TrainingPolicy(search={"eta": Uniform(0.1, 0.3)}, parameters={"eta": 0.5}),
            f".parameters: eta is 0.5, outside of the search's {Uniform(0.1, 0.3)}: widen it",
        ),
        (
            TrainingPolicy(search={"max_depth": Integers(2, 4)}, candidates=({}, {"max_depth": 9})),
            f".candidates[1]: max_depth is 9, outside of the search's {Integers(2, 4)}: widen it",
        ),
    ],
)
def test_a_training_policy_that_does_not_hold_together_is_told(policy: TrainingPolicy, told: str) -> None:
    assert policy.problems() == [f"TrainingPolicy{told}"]


def test_a_sound_policy_has_no_problem() -> None:
    search = {"max_depth": Integers(2, 4), "eta": LogUniform(0.01, 1), "grow_policy": Choice(("depthwise", "lossguide"))}
    sound = TrainingPolicy(search=search, parameters={"eta": 0.1}, candidates=({"max_depth": 2},), workers=2, spark_rows=1)
    assert sound.problems() == []
    assert TrainingPolicy(parameters={"max_bin": 64}, **dict.fromkeys(COUNTS, 1)).problems() == []
    assert TrainingPolicy(validation=0.25, calibration=0.25, holdout=0.3).problems() == []


def test_every_problem_is_told_at_once() -> None:
    policy = TrainingPolicy(workers=0, spark_rows=1, search={"eta": Uniform(1, 0)}, holdout=0.9)
    assert [problem.split()[0] for problem in policy.problems()] == [
        "TrainingPolicy", "TrainingPolicy.workers", "TrainingPolicy.spark_rows", "TrainingPolicy.search:",
    ]  # fmt: skip


def test_a_part_may_cover_any_time_above_none() -> None:
    assert TrainingPolicy(part_at_most=timedelta(microseconds=1)).problems() == []
