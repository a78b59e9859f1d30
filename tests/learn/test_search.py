from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import log10

import pytest

from everloop.decide.policy import TrainingPolicy
from everloop.decide.training.space import Choice, Integers, LogUniform, Uniform
from everloop.errors import TrainingError
from everloop.learn import tune as tuning
from everloop.learn.job import TUNED, Job, Tuned, read
from everloop.learn.search import search

SEARCH = {
    "max_depth": Integers(2, 5),
    "learning_rate": LogUniform(0.01, 0.5),
    "subsample": Uniform(0.5, 1.0),
    "grow_policy": Choice(("depthwise", "lossguide")),
}
POLICY = TrainingPolicy(
    parameters={"max_depth": 3, "subsample": 1.0},
    candidates=({"max_depth": 4}, {"learning_rate": 0.1, "min_child_weight": 7}),
    search=SEARCH,
    trials=25,
    tuning_rounds=6,
)


def bowl(overrides, listen) -> None:
    """A loss that falls by round towards a floor that a learning rate of 0.1 and a depth of 4 have lowest."""
    floor = abs(log10(overrides["learning_rate"]) + 1) + abs(overrides["max_depth"] - 4) / 4
    for number in range(6):
        listen(number, floor + 1 / (number + 1))


def without_seconds(tuned: Tuned) -> list:
    return [replace(trial, seconds=0) for trial in tuned.trials]


def test_the_same_search_twice_makes_the_same_trials_and_another_seed_makes_others() -> None:
    first, again = search(POLICY, bowl), search(POLICY, bowl)
    assert without_seconds(first) == without_seconds(again)
    assert first.overrides == again.overrides
    assert without_seconds(search(replace(POLICY, seed=8), bowl)) != without_seconds(first)


def test_candidates_come_first_with_the_policys_own_values_where_they_are_silent() -> None:
    first, second, *_ = search(POLICY, bowl).trials
    assert (first.parameters["max_depth"], first.parameters["subsample"]) == (4, 1.0)
    assert (second.parameters["max_depth"], second.parameters["learning_rate"]) == (3, 0.1)
    assert second.parameters["min_child_weight"] == 7


def test_every_trial_stays_within_the_ranges() -> None:
    trials = search(POLICY, bowl).trials
    assert len(trials) == 25
    for trial in trials:
        assert all(space.holds(trial.parameters[name]) for name, space in SEARCH.items())


def test_the_least_loss_of_a_complete_trial_wins_and_poor_trials_are_given_up() -> None:
    found = search(POLICY, bowl)
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    complete = [trial for trial in found.trials if trial.state == "complete"]
    assert pruned
    assert max(trial.rounds for trial in pruned) < 6 == min(trial.rounds for trial in complete)
    assert found.overrides == min(complete, key=lambda trial: trial.loss).parameters
    assert min(trial.loss for trial in complete) < complete[0].loss


def test_the_time_budget_ends_the_search_after_a_trial() -> None:
    found = search(replace(POLICY, tuning_time=timedelta(microseconds=1)), bowl)
    assert len(found.trials) == 1
    assert found.trials[0].state == "complete"


def test_without_a_search_the_candidates_are_all_there_is() -> None:
    def flat(overrides, listen):
        listen(0, overrides["max_depth"] / 10)

    found = search(replace(POLICY, search={}, candidates=({"max_depth": 6}, {"max_depth": 4}, {"max_depth": 4})), flat)
    assert [trial.parameters for trial in found.trials] == [{"max_depth": 6}, {"max_depth": 4}, {"max_depth": 4}]
    assert found.overrides == {"max_depth": 4}


def test_without_candidates_the_policys_own_parameters_are_tried_first() -> None:
    policy = replace(POLICY, parameters={"max_depth": 4, "learning_rate": 0.1, "subsample": 0.6, "grow_policy": "lossguide"})
    assert search(replace(policy, candidates=()), bowl).trials[0].parameters == policy.parameters


def test_a_trial_that_fails_ends_the_search_with_its_own_error() -> None:
    def broken(overrides, listen):
        listen(0, 0.5)
        raise TrainingError("the driver is gone")

    with pytest.raises(TrainingError, match="the driver is gone"):
        search(POLICY, broken)


def test_tuning_fits_real_rows_and_leaves_its_trials(laid_out, job: Job) -> None:
    search = {"max_depth": Integers(1, 3), "learning_rate": LogUniform(0.001, 0.3)}
    folder = laid_out(replace(job, policy=replace(job.policy, search=search, trials=4)))
    tuning.main(folder)
    found = read(folder, TUNED, Tuned)
    assert len(found.trials) == 4
    assert [trial.parameters["max_depth"] for trial in found.trials[:2]] == [3, 1]
    assert found.trials[0].loss < found.trials[1].loss
    assert found.overrides == min(found.trials, key=lambda trial: trial.loss).parameters


def test_tuning_by_candidates_chooses_the_one_with_the_lowest_validation_loss(laid_out, job: Job) -> None:
    folder = laid_out(job)
    tuning.main(folder)
    found = read(folder, TUNED, Tuned)
    assert found.overrides == {"max_depth": 3}
    assert [trial.parameters for trial in found.trials] == [dict(candidate) for candidate in job.policy.candidates]
