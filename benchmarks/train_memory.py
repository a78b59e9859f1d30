"""A fit from pages on disk against one in memory, on rows drawn from the real flights: peak memory, seconds, the same bytes.

`python -m benchmarks.train_memory 2000000` takes so many fitting rows.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import train_gpu
from benchmarks.flights import training_rows
from benchmarks.process import measure
from benchmarks.record import RESULTS, Record
from everloop.learn.device import Machine
from everloop.learn.fit import Length, fit, parameters
from everloop.learn.job import take
from everloop.learn.matrices import matrices
from everloop.learn.train import encoder_of

ROWS, ROUNDS = 8_000_000, 20


def main(rows: int = ROWS) -> None:
    """Draw the rows, fit twice."""
    with tempfile.TemporaryDirectory(prefix="everloop-memory-") as folder:
        with training_rows() as (job, table, _):
            train_gpu.lay_out(Path(folder), job, table, rows)
        compare(folder, rows, ROUNDS)


def compare(folder: str, rows: int, rounds: int, results: Path = RESULTS) -> None:
    """Both sides on the CPU, each in a fresh process."""
    record = Record("train_memory", packages=("xgboost", "pyarrow"))
    record.fact("fitting rows", rows)
    record.fact("rounds", rounds)
    models = set()
    for side, external in (("in memory", False), ("pages on disk", True)):
        told = measure("benchmarks.train_memory", "run", folder=folder, rounds=rounds, external=external)
        models.add(told.value.pop("model"))
        record.sample(side, **told.value, peak_mb=told.peak_mb)
    record.fact("models that differ", len(models) - 1)
    whole, pages = (record.median(side, "peak_mb") for side in ("in memory", "pages on disk"))
    record.ratio("peak memory, in memory / pages on disk", whole / pages, 1.0, "higher")
    record.finish(results)


def run(folder: str, rounds: int, external: bool) -> dict[str, Any]:
    """Seconds to make the matrices and to fit, and the SHA-256 of the model's bytes."""
    job, examples = take(Path(folder))
    machine = replace(Machine.here(job.threads), device="cpu")
    began = time.perf_counter()
    made = matrices(examples, encoder_of(examples, job), machine, external=external)
    between = time.perf_counter()
    length = Length(rounds=rounds, early_stopping=rounds, every=job.policy.checkpoint_rounds)
    fitted = fit(made, parameters(job.policy, {}), length, machine)
    ended = time.perf_counter()
    model = hashlib.sha256(bytes(fitted.booster.save_raw("ubj"))).hexdigest()
    return {"matrix_seconds": between - began, "fit_seconds": ended - between, "model": model}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
