"""Fit and calibrate one model: `python -m everloop.learn.train <folder>`, in a process of its own."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from everloop.learn.calibrate import calibrate
from everloop.learn.encode import Encoder, known_values
from everloop.learn.fit import Fitted, Labelled, fit, parameters
from everloop.learn.job import LABEL, PART, TRAINED, Job, Trained, put, take
from everloop.learn.split import CALIBRATION, FIT, VALIDATION
from everloop.release import MODEL

if TYPE_CHECKING:
    import pyarrow as pa


def train(examples: pa.Table, job: Job) -> tuple[bytes, Trained]:
    """The model's UBJ bytes and what goes with them; the same for the same input on the same device, whatever the threads."""
    began = time.perf_counter()
    encoder = encoder_of(examples, job)
    fitted = fit_parts(examples, encoder, job, job.overrides, job.policy.rounds)
    matrix, labels = part(examples, encoder, CALIBRATION)
    trained = Trained(
        columns=encoder.columns,
        categories=encoder.categories,
        calibrator=calibrate(fitted.booster.inplace_predict(matrix), labels),
        parameters=parameters(job.policy, job.overrides),
        device=fitted.device,
        rounds=fitted.booster.num_boosted_rounds(),
        losses=fitted.losses,
        seconds=time.perf_counter() - began,
    )
    return bytes(fitted.booster.save_raw("ubj")), trained


def encoder_of(examples: pa.Table, job: Job) -> Encoder:
    """The encoder that knows the categories of the fitting part, and no later ones."""
    fitting = examples.filter(_mask(examples, FIT))
    return Encoder(job.columns, {name: known_values(fitting[name]) for name in job.categories})


def part(examples: pa.Table, encoder: Encoder, name: str) -> Labelled:
    """The encoded rows of one part and their labels."""
    rows = examples.filter(_mask(examples, name))
    return encoder.table(rows), rows[LABEL].to_numpy().astype(bool)


def fit_parts(examples: pa.Table, encoder: Encoder, job: Job, overrides: dict[str, float | int | str], rounds: int) -> Fitted:
    """Fit on the fitting part, stop on the validation part."""
    return fit(
        part(examples, encoder, FIT),
        part(examples, encoder, VALIDATION),
        encoder,
        parameters(job.policy, overrides),
        rounds=rounds,
        early_stopping=job.policy.early_stopping,
        threads=job.threads or os.cpu_count() or 1,
    )


def _mask(examples: pa.Table, name: str) -> pa.Array:
    import pyarrow as pa

    return pa.array(np.equal(examples[PART].to_numpy(zero_copy_only=False).astype(str), name))


def main(folder: Path) -> None:
    """Read a job from `folder`, leave `model.ubj` and `trained.json` there."""
    job, examples = take(folder)
    model, trained = train(examples, job)
    put(folder, MODEL, model)
    put(folder, TRAINED, msgspec.json.encode(trained))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
