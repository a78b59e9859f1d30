"""Training on the real flights, ended by kill -9 at random rounds and run again: is it the same model?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.process import ROOT
from benchmarks.record import Record
from everloop.learn import train
from everloop.learn.checkpoint import CHECKPOINT
from everloop.learn.examples import LABEL, PART
from everloop.learn.job import TRAINED, Job, Trained, ask, give, read
from everloop.release import MODEL

KILLS, SEED = 4, 7


def main() -> None:
    """The shipped policy on the whole year."""
    from benchmarks.flights import training_rows

    record = Record("resume", packages=("xgboost", "numpy", "pyarrow"))
    with tempfile.TemporaryDirectory(prefix="everloop-resume-") as folder:
        with training_rows() as (job, rows, _):
            record.fact("rows", rows.num_rows)
            whole = lay_out(Path(folder) / "whole", job, rows)
            killed = lay_out(Path(folder) / "killed", job, rows)
        compare(record, whole, killed, KILLS)
    record.finish()


def lay_out(folder: Path, job: Job, rows: pa.Table) -> Path:
    """A job's folder, as the train task makes it."""
    give(folder, rows.select([*job.columns, LABEL, PART]).to_batches())
    ask(folder, job)
    return folder


def compare(record: Record, whole: Path, killed: Path, kills: int) -> None:
    """Train in `whole` without a break; in `killed`, a folder alike, with `kills` of them at random rounds, ascending."""
    _timed(record, "uninterrupted", whole)
    rounds = len(read(whole, TRAINED, Trained).losses)
    chosen = sorted(np.random.default_rng(SEED).choice(rounds, size=kills, replace=False).tolist())
    for last in chosen:
        _timed(record, "killed", killed, last)
    _timed(record, "last attempt", killed)
    record.fact("rounds", rounds)
    record.fact("killed in round", chosen)
    record.fact("a checkpoint is left", (killed / CHECKPOINT).exists())
    ours, theirs = (read(folder, TRAINED, Trained) for folder in (killed, whole))
    record.fact("losses by round are equal", ours.losses == theirs.losses)
    record.fact("calibration is equal", ours.calibrator == theirs.calibrator)
    differ = (killed / MODEL).read_bytes() != (whole / MODEL).read_bytes()
    record.fact("model bytes are equal", not differ)
    record.ratio("models that differ", int(differ), 0, "lower")


def _timed(record: Record, side: str, folder: Path, last: int | None = None) -> None:
    """A training process, which kills itself after round `last`; `RuntimeError` when it ends in another way."""
    command = ["-m", "everloop.learn.train", folder] if last is None else ["-m", "benchmarks.resume", folder, str(last)]
    path = os.pathsep.join([str(ROOT / "plugins"), str(ROOT)])
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, check=False)
    record.sample(side, seconds=time.perf_counter() - began)
    if done.returncode != (0 if last is None else -signal.SIGKILL):
        raise RuntimeError(f"Training in {folder} ended with {done.returncode}: see its words above")


def train_until(folder: Path, last: int) -> None:
    """Train, and be gone in the middle of it."""

    def told(number: int, _: float) -> None:
        if number == last:
            os.kill(os.getpid(), signal.SIGKILL)

    train.fit = partial(train.fit, told=told)
    train.main(folder)


def _arguments(arguments: Sequence[str]) -> None:
    if arguments:
        train_until(Path(arguments[0]), int(arguments[1]))
    else:
        main()


if __name__ == "__main__":
    _arguments(sys.argv[1:])
