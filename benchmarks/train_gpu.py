"""Training on 10 million rows, drawn from the real flights: the GPU against the CPU of the same machine."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.flights import training_rows
from benchmarks.process import measure
from benchmarks.record import RESULTS, Record
from everloop.decide.statistics.compare import auc
from everloop.learn.device import Machine, available
from everloop.learn.examples import LABEL, PART, ROWS_AT_ONCE
from everloop.learn.fit import Length, fit, parameters
from everloop.learn.job import Job, ask, give, take
from everloop.learn.matrices import matrices
from everloop.learn.split import FIT, HOLDOUT, VALIDATION
from everloop.learn.train import encoder_of

ROWS, WITHOUT_GPU, ROUNDS, SEED = 10_000_000, 200_000, 100, 7
TARGET = 1.0
"""A GPU that is not faster is not worth its place."""


def main() -> None:
    """`EVERLOOP_BENCH_ROWS` for another number of rows."""
    found = available()
    rows = int(os.environ.get("EVERLOOP_BENCH_ROWS", ROWS if found == "cuda" else WITHOUT_GPU))
    with tempfile.TemporaryDirectory(prefix="everloop-gpu-") as folder:
        with training_rows() as (job, table, _):
            lay_out(Path(folder), job, table, rows)
        compare(folder, rows, ROUNDS, found)


def lay_out(folder: Path, job: Job, table: pa.Table, rows: int) -> None:
    """A job of so many fitting rows, drawn with replacement; the rows for validation and for judging stay the real ones."""
    give(folder, _drawn(table.select([*job.columns, LABEL, PART]), rows))
    ask(folder, job)


def _drawn(table: pa.Table, rows: int) -> Iterator[pa.RecordBatch]:
    chance = np.random.default_rng(SEED)
    fitting = table.filter(pc.equal(table[PART], FIT)).combine_chunks()
    for start in range(0, rows, ROWS_AT_ONCE):
        chosen = chance.integers(0, fitting.num_rows, min(ROWS_AT_ONCE, rows - start))
        yield from fitting.take(pa.array(chosen)).to_batches()
    for part in (VALIDATION, HOLDOUT):
        yield from table.filter(pc.equal(table[PART], part)).to_batches()


def compare(folder: str, rows: int, rounds: int, found: str, results: Path = RESULTS) -> None:
    """Both sides, each in a fresh process, where there is a GPU; else the CPU alone, told and not written down."""
    record = Record("train_gpu", packages=("xgboost", "numpy", "pyarrow"))
    record.fact("fitting rows", rows)
    record.fact("rounds", rounds)
    for device in ("cpu", "cuda") if found == "cuda" else ("cpu",):
        told = measure("benchmarks.train_gpu", "run", folder=folder, device=device, rounds=rounds)
        record.sample(device, **told.value, peak_mb=told.peak_mb)
    if found != "cuda":
        seconds, area = record.median("cpu", "fit_seconds"), record.median("cpu", "auc")
        print("no GPU: the NVIDIA driver shows no device here, so nothing was compared and no result was written.")
        print(f"The CPU fitted {rows} rows in {rounds} rounds in {seconds:.1f} s, AUC {area:.4f} on held-out flights.")
        return
    (cpu, gpu), (ours, theirs) = ([record.median(side, what) for side in ("cpu", "cuda")] for what in ("fit_seconds", "auc"))
    record.ratio("CPU / GPU, seconds of the fit", cpu / gpu, TARGET, "higher")
    record.ratio("difference of AUC", abs(ours - theirs), 0.001, "lower")
    record.finish(results)


def run(folder: str, device: str, rounds: int) -> dict[str, Any]:
    """Seconds to make the matrices and to fit, and AUC on the held-out rows; no early stopping, so both sides do the same."""
    job, examples = take(Path(folder))
    encoder, machine = encoder_of(examples, job), replace(Machine.here(job.threads), device=device)
    began = time.perf_counter()
    made = matrices(examples, encoder, machine)
    between = time.perf_counter()
    length = Length(rounds=rounds, early_stopping=rounds, every=job.policy.checkpoint_rounds)
    fitted = fit(made, parameters(job.policy, {}), length, machine)
    ended = time.perf_counter()
    held = list(examples.encoded(HOLDOUT, encoder))
    scores = np.concatenate([fitted.booster.inplace_predict(rows) for rows, _ in held])
    area = auc(np.concatenate([labels for _, labels in held]), scores)
    return {"matrix_seconds": between - began, "fit_seconds": ended - between, "auc": area.value if area else float("nan")}


if __name__ == "__main__":
    main()
