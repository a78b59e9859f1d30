from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from everloop.decide.policy import TrainingPolicy
from everloop.errors import TrainingError
from everloop.learn.checkpoint import Progress
from everloop.learn.device import Machine, available
from everloop.learn.fit import Fitted, Length, fit, parameters
from everloop.learn.job import Job, take
from everloop.learn.matrices import Matrices, matrices
from everloop.learn.train import encoder_of

ROUNDS, EVERY = 9, 2
SHORT = Length(rounds=ROUNDS, early_stopping=5, every=EVERY)
SAMPLED = {"subsample": 0.6, "colsample_bytree": 0.7, "colsample_bynode": 0.7}
"""Both kinds of random draws: of rows and of columns."""


@pytest.fixture
def made(laid_out, job: Job) -> Matrices:
    _, examples = take(laid_out(job))
    return matrices(examples, encoder_of(examples, job), Machine("cpu", 1))


def run(made: Matrices, job: Job, length: Length = SHORT, device: str = "cpu", **options: Any) -> Fitted:
    return fit(made, parameters(job.policy, SAMPLED), length, Machine(device, 1), **options)


class Killed(BaseException):
    """Nothing catches it, as nothing catches a signal 9."""


@pytest.mark.parametrize("last", range(ROUNDS))
def test_a_fit_that_ends_at_any_round_goes_on_to_the_same_model(made: Matrices, job: Job, last: int) -> None:
    whole = run(made, job)
    kept = [Progress()]

    def killed(number: int, loss: float) -> None:
        if number == last:
            raise Killed

    with pytest.raises(Killed):
        run(made, job, keep=kept.append, told=killed)
    rounds: list[int] = []
    again = run(made, job, begun=kept[-1], told=lambda number, _: rounds.append(number))

    assert rounds[0] == last // EVERY * EVERY
    assert again.losses == whole.losses
    assert again.booster.save_raw("ubj") == whole.booster.save_raw("ubj")


def test_early_stopping_counts_the_rounds_before_a_restart(made: Matrices, job: Job) -> None:
    kept: list[Progress] = []
    long = Length(rounds=500, early_stopping=3, every=EVERY)
    whole = run(made, job, long, keep=kept.append)
    assert len(whole.losses) < 500
    for progress in kept:
        again = run(made, job, long, begun=progress)
        assert (again.losses, again.booster.num_boosted_rounds()) == (whole.losses, whole.booster.num_boosted_rounds())


@pytest.mark.filterwarnings("ignore:.*GPU.*:UserWarning")
@pytest.mark.skipif(available() == "cuda", reason="this machine has the device that the test needs absent")
def test_training_that_ran_elsewhere_than_told_is_an_error(made: Matrices, job: Job) -> None:
    with pytest.raises(TrainingError, match="was to run on cuda and ran on cpu"):
        run(made, job, device="cuda")


def test_overrides_win_over_the_policys_parameters_and_nothing_wins_over_the_seed() -> None:
    policy = TrainingPolicy(seed=5, parameters={"max_depth": 6, "eta": 0.1, "seed": 1})
    found = parameters(policy, {"max_depth": 3, "seed": 2})
    assert (found["max_depth"], found["eta"], found["seed"]) == (3, 0.1, 5)
    assert parameters(replace(policy, parameters={}), {})["objective"] == "binary:logistic"
