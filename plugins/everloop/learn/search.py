"""The seeded search of tuning, by Optuna: the same trials every time, poor ones given up early."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, cast

from everloop.decide.policy import Overrides, TrainingPolicy
from everloop.decide.training.space import Choice, Integers, LogUniform, Space, Value
from everloop.learn.job import Trial, Tuned

if TYPE_CHECKING:
    import optuna

Listen = Callable[[int, float], None]
Attempt = Callable[[Overrides, Listen], None]
"""Fits these overrides and tells every round and its validation log loss."""


def search(policy: TrainingPolicy, attempt: Attempt) -> Tuned:
    """The trials of a policy; the lowest loss of those that were not given up wins, the first on a tie.

    The candidates come first. The others are drawn by the tree-structured Parzen estimator (Bergstra et al. 2011, Algorithms
    for Hyper-Parameter Optimization, sec. 4), seeded, and a trial is given up when its loss is above the median of the earlier
    trials at the same round (Golovin et al. 2017, Google Vizier, sec. 3.2.2). Two searches of the same rows make the same
    trials, but for their number where `tuning_time` ends them: a trial that has begun is finished, the first one always.
    """
    study = _study(policy)
    first = policy.candidates or ({},)
    for candidate in first:
        study.enqueue_trial(_inside(policy, candidate), user_attrs={"given": candidate})
    trials: list[Trial] = []
    study.optimize(
        lambda trial: _objective(trial, policy, attempt, trials),
        n_trials=max(policy.trials, len(first)) if policy.search else len(first),
        callbacks=[_until(policy.tuning_time)],
    )
    complete = [trial for trial in trials if trial.state == "complete"]
    return Tuned(overrides=min(complete, key=lambda trial: trial.loss).parameters, trials=tuple(trials))


def _until(time_left: timedelta | None) -> Callable[[optuna.Study, optuna.trial.FrozenTrial], None]:
    """Stops after the trial in which the time ran out; Optuna's own timeout may stop before the first."""
    end = time.monotonic() + time_left.total_seconds() if time_left else float("inf")

    def stop(study: optuna.Study, _: optuna.trial.FrozenTrial) -> None:
        if time.monotonic() >= end:
            study.stop()

    return stop


def _study(policy: TrainingPolicy) -> optuna.Study:
    """In memory: a database would cost more than a short trial."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # A trial must have had a third of its rounds, and others before it, to be judged: slow learners begin high.
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=policy.tuning_rounds // 3)
    return optuna.create_study(sampler=optuna.samplers.TPESampler(seed=policy.seed), pruner=pruner)


def _inside(policy: TrainingPolicy, candidate: Overrides) -> Overrides:
    """What a candidate is in the search's own parameters: its value, else the policy's, else left to the sampler."""
    known = {**policy.parameters, **candidate}
    return {name: known[name] for name in policy.search if name in known}


def _objective(trial: optuna.Trial, policy: TrainingPolicy, attempt: Attempt, trials: list[Trial]) -> float:
    import optuna

    suggested = {name: _suggest(trial, name, space) for name, space in policy.search.items()}
    overrides = {**suggested, **trial.user_attrs.get("given", {})}
    losses: list[float] = []
    began = time.perf_counter()

    def listen(number: int, loss: float) -> None:
        losses.append(loss)
        trial.report(loss, number)
        if trial.should_prune():
            trials.append(_trial(overrides, losses, "pruned", began))
            raise optuna.TrialPruned

    attempt(overrides, listen)
    trials.append(_trial(overrides, losses, "complete", began))
    return min(losses)


def _trial(overrides: Overrides, losses: list[float], state: Literal["complete", "pruned"], began: float) -> Trial:
    seconds = time.perf_counter() - began
    return Trial(parameters=overrides, loss=min(losses), rounds=len(losses), state=state, seconds=seconds)


def _suggest(trial: optuna.Trial, name: str, space: Space) -> Value:
    match space:
        case Integers(low, high):
            return trial.suggest_int(name, low, high)
        case Choice(values):
            return cast(Value, trial.suggest_categorical(name, values))
        case _:
            return trial.suggest_float(name, space.low, space.high, log=isinstance(space, LogUniform))
