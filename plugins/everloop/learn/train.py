"""Fit and calibrate one model: `python -m everloop.learn.train <folder>`, in a process of its own."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from everloop.learn.calibrate import calibrate
from everloop.learn.checkpoint import Checkpoint
from everloop.learn.device import Machine
from everloop.learn.encode import Encoder
from everloop.learn.examples import Examples
from everloop.learn.fit import Fitted, Length, fit, parameters
from everloop.learn.job import TRAINED, Job, Trained, digest, put, take
from everloop.learn.matrices import BINS, matrices
from everloop.learn.split import CALIBRATION, FIT
from everloop.release import MODEL

if TYPE_CHECKING:
    import numpy.typing as npt


def train(folder: Path) -> tuple[bytes, Trained]:
    """The model's UBJ bytes and what goes with them, of the job in `folder`; goes on from a checkpoint that is there.

    The same for the same input on the same device, whatever the threads, the memory and the interruptions.
    """
    began = time.perf_counter()
    job, examples = take(folder)
    encoder, machine = encoder_of(examples, job), Machine.here(job.threads)
    checkpoint = Checkpoint(folder, digest(folder, machine.device))
    settings = parameters(job.policy, job.overrides)
    fitted = fit(
        matrices(examples, encoder, machine, bins=bins(settings), external=job.external),
        settings,
        Length.of(job.policy),
        machine,
        begun=checkpoint.load(),
        keep=checkpoint.save,
    )
    return finished(fitted, examples, encoder, job, began)


def finished(fitted: Fitted, examples: Examples, encoder: Encoder, job: Job, began: float) -> tuple[bytes, Trained]:
    """A fitted booster as bytes, calibrated on rows of its own; `began`: `time.perf_counter()` at the start."""
    scores, labels = _scored(fitted, examples, encoder)
    trained = Trained(
        columns=encoder.columns,
        categories=encoder.categories,
        calibrator=calibrate(scores, labels),
        parameters=parameters(job.policy, job.overrides),
        device=fitted.device,
        rounds=fitted.booster.num_boosted_rounds(),
        losses=fitted.losses,
        seconds=time.perf_counter() - began,
        workers=fitted.workers,
    )
    return bytes(fitted.booster.save_raw("ubj")), trained


def encoder_of(examples: Examples, job: Job) -> Encoder:
    """The encoder that knows the categories of the fitting part, and no later ones."""
    return Encoder(job.columns, {name: examples.known_values(FIT, name) for name in job.categories})


def bins(settings: dict[str, float | int | str]) -> int:
    """The bins of a quantile matrix, which must be those of the booster."""
    return int(settings.get("max_bin", BINS))


def _scored(fitted: Fitted, examples: Examples, encoder: Encoder) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Raw scores and labels of the calibration rows."""
    found = [(fitted.booster.inplace_predict(rows), labels) for rows, labels in examples.encoded(CALIBRATION, encoder)]
    return np.concatenate([scores for scores, _ in found]), np.concatenate([labels for _, labels in found])


def main(folder: Path) -> None:
    """Do the job in `folder`, leave `model.ubj` and `trained.json` there and no checkpoint."""
    model, trained = train(folder)
    put(folder, MODEL, model)
    put(folder, TRAINED, msgspec.json.encode(trained))
    Checkpoint(folder, "").clear()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
