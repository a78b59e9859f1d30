"""How a booster is fitted: one seeded run with early stopping, the same bytes every time, killed in between or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from everloop.decide.policy import TrainingPolicy
from everloop.errors import TrainingError
from everloop.learn import device as devices
from everloop.learn.checkpoint import Progress
from everloop.learn.device import Machine
from everloop.learn.matrices import Matrices
from everloop.learn.scoring import load_booster

if TYPE_CHECKING:
    import xgboost

Settings = Mapping[str, float | int | str]


@dataclass(frozen=True)
class Fitted:
    """A booster cut back to its best round, the validation log loss by round, and where it was fitted.

    `device`: `cpu`, `cuda`, or `spark` with as many `workers`.
    """

    booster: xgboost.Booster
    losses: tuple[float, ...]
    device: str
    workers: int = 1


@dataclass(frozen=True, kw_only=True)
class Length:
    """At most `rounds`, fewer when `early_stopping` of them brought nothing better; saved after `every` so many."""

    rounds: int
    early_stopping: int
    every: int

    @classmethod
    def of(cls, policy: TrainingPolicy) -> Length:
        """The length of a training; tuning has fewer rounds."""
        return cls(rounds=policy.rounds, early_stopping=policy.early_stopping, every=policy.checkpoint_rounds)


def parameters(policy: TrainingPolicy, overrides: Settings) -> dict[str, float | int | str]:
    """XGBoost's parameters of a fit, but for those that do not change the model (device, threads)."""
    fixed = {"objective": "binary:logistic", "eval_metric": "logloss", "tree_method": "hist"}
    return {**policy.parameters, **overrides, **fixed, "seed": policy.seed}


def nothing(*_: Any) -> None:
    """Neither keep nor tell."""


def fit(
    matrices: Matrices,
    settings: Settings,
    length: Length,
    machine: Machine,
    *,
    begun: Progress | None = None,
    keep: Callable[[Progress], None] = nothing,
    told: Callable[[int, float], None] = nothing,
) -> Fitted:
    """Fit on the training rows, stop early on the validation rows. `TrainingError` when XGBoost trained elsewhere than told.

    A fit is a chain of segments of `length.every` rounds. Each is made of the bytes that the one before left, even when nothing
    happened in between: XGBoost's column sampler keeps a state that no file holds (3.2 does not resume exactly, whatever the
    seeds), so that a fit which is to be resumable must forget that state by itself. `keep` gets the progress after every
    segment, and `begun` is where to go on; `told` hears of every round and its loss, and may end the fit by raising.

    """
    asked = {**settings, "device": machine.device, "nthread": machine.threads, "seed_per_iteration": True}
    progress = begun or Progress()
    while not progress.over(length.rounds, length.early_stopping):
        until = min(len(progress.losses) + length.every, length.rounds)
        progress = _segment(matrices, asked, progress, replace(length, rounds=until), told)
        keep(progress)
    booster = load_booster(progress.model, machine.threads)
    return Fitted(booster[: progress.best + 1], progress.losses, machine.device)


def _segment(
    matrices: Matrices,
    asked: Mapping[str, Any],
    progress: Progress,
    length: Length,
    told: Callable[[int, float], None],
) -> Progress:
    """The rounds up to `length.rounds`, or up to where the fit is over."""
    import xgboost

    before = bytearray(progress.model) if progress.model else None
    booster = xgboost.Booster(asked, [matrices.training, matrices.validation], model_file=before)
    while not progress.over(length.rounds, length.early_stopping):
        number = len(progress.losses)
        booster.update(matrices.training, iteration=number)
        loss = float(booster.eval_set([(matrices.validation, "validation")], number).rpartition(":")[2])
        progress = replace(progress, losses=(*progress.losses, loss))
        told(number, loss)
    _check_device(booster, asked["device"])
    return replace(progress, model=bytes(booster.save_raw("ubj")))


def _check_device(booster: xgboost.Booster, wanted: str) -> None:
    if (found := devices.used(booster)) != wanted:
        raise TrainingError(f"Training was to run on {wanted} and ran on {found}: check the driver, or train without a GPU")
