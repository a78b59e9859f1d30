"""Training on 10 million rows, drawn from the real flights: the GPU against the CPU of the same machine.

A machine with a GPU that has nothing but Python, XGBoost, PyArrow, msgspec and SciPy can be given the rows:
`python -m benchmarks.train_gpu lay-out FOLDER` here, and `python -m benchmarks.train_gpu FOLDER` there.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.process import measure
from benchmarks.record import RESULTS, Record
from everloop.decide.statistics.compare import auc
from everloop.learn.device import Machine, available
from everloop.learn.examples import LABEL, PART, ROWS_AT_ONCE, Labelled
from everloop.learn.fit import Fitted, Length, fit, parameters
from everloop.learn.job import Job, ask, give, take
from everloop.learn.matrices import matrices
from everloop.learn.split import FIT, HOLDOUT, VALIDATION
from everloop.learn.train import encoder_of

ROWS, WITHOUT_GPU, ROUNDS, SEED = 10_000_000, 200_000, 100, 7
WITHOUT_CUPY, PAGES = "bins made by the CPU", "pages on disk"
SIDES = {"cpu": 1, "cuda": 2, f"cuda, {WITHOUT_CUPY}": 2, f"cuda, {PAGES}": 2}
"""How often each is run. With CuPy the GPU makes the bins too."""
TARGET = 1.0
"""A GPU that is not faster is not worth its place."""


def main(arguments: Sequence[str]) -> None:
    """`EVERLOOP_BENCH_ROWS` for another number of rows."""
    match arguments:
        case []:
            with tempfile.TemporaryDirectory(prefix="everloop-flights-") as folder:
                real_rows(Path(folder))
                run_on(Path(folder))
        case ["lay-out", folder]:
            real_rows(Path(folder))
        case [folder]:
            run_on(Path(folder))
        case _:
            raise SystemExit(__doc__)


def real_rows(folder: Path) -> None:
    """The job of the shipped policy and the year's flights, as the train task makes them."""
    from benchmarks.flights import training_rows

    with training_rows() as (job, table, _):
        give(folder, table.select([*job.columns, LABEL, PART]).to_batches())
    ask(folder, job)


def run_on(real: Path) -> None:
    """Draw from the rows in `real`, and compare."""
    found = available()
    rows = int(os.environ.get("EVERLOOP_BENCH_ROWS", ROWS if found == "cuda" else WITHOUT_GPU))
    job, examples = take(real)
    with tempfile.TemporaryDirectory(prefix="everloop-gpu-") as folder:
        lay_out(Path(folder), job, pq.read_table(examples.path), rows)
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
    """Each side in a fresh process, where there is a GPU; else the CPU alone, told and not written down."""
    record = Record("train_gpu", packages=("xgboost", "numpy", "pyarrow"))
    record.fact("fitting rows", rows)
    record.fact("rounds", rounds)
    if found != "cuda":
        _sample(record, "cpu", folder, rounds)
        seconds, area = record.median("cpu", "fit_seconds"), record.median("cpu", "auc")
        print("no GPU: the NVIDIA driver shows no device here, so nothing was compared and no result was written.")
        print(f"The CPU fitted {rows} rows in {rounds} rounds in {seconds:.1f} s, AUC {area:.4f} on held-out flights.")
        return
    record.fact("GPU", gpu_name())
    models = {side: [_sample(record, side, folder, rounds) for _ in range(runs)] for side, runs in SIDES.items()}
    _judge(record, models)
    record.finish(results)


def _sample(record: Record, side: str, folder: str, rounds: int) -> str:
    """The SHA-256 of the model that one run of a side makes."""
    device, _, how = side.partition(", ")
    told = measure("benchmarks.train_gpu", "run", folder=folder, device=device, rounds=rounds, how=how)
    model = str(told.value.pop("model"))
    record.sample(side, **told.value, peak_mb=told.peak_mb)
    return model


def _judge(record: Record, models: Mapping[str, Sequence[str]]) -> None:
    for side, found in models.items():
        record.fact(f"models of {side} that differ", len(set(found)) - 1)
    (cpu, gpu), (ours, theirs) = ([record.median(side, what) for side in ("cpu", "cuda")] for what in ("fit_seconds", "auc"))
    matrices = [record.median(side, "matrix_seconds") for side in ("cpu", "cuda")]
    record.ratio("CPU / GPU, seconds of the fit", cpu / gpu, TARGET, "higher")
    record.ratio("CPU / GPU, seconds of matrices and fit", (cpu + matrices[0]) / (gpu + matrices[1]), TARGET, "higher")
    record.ratio("difference of AUC", abs(ours - theirs), 0.001, "lower")


def gpu_name() -> str:
    """The GPU as the driver's own tool names it."""
    asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def run(folder: str, device: str, rounds: int, how: str = "") -> dict[str, Any]:
    """Seconds to make the matrices and to fit, AUC on the held-out rows, and the model's SHA-256.

    There is no early stopping, so that all sides do the same.
    """
    if how == WITHOUT_CUPY:
        sys.modules["cupy"] = None  # type: ignore[assignment]  # what is so listed cannot be imported, nor found
    job, examples = take(Path(folder))
    encoder, machine = encoder_of(examples, job), replace(Machine.here(job.threads), device=device)
    began = time.perf_counter()
    made = matrices(examples, encoder, machine, external=how == PAGES)
    between = time.perf_counter()
    fitted = fit(made, parameters(job.policy, {}), whole_length(job, rounds), machine)
    ended = time.perf_counter()
    return {
        "matrix_seconds": between - began,
        "fit_seconds": ended - between,
        "auc": held_out_auc(fitted, list(examples.encoded(HOLDOUT, encoder))),
        "model": hashlib.sha256(bytes(fitted.booster.save_raw("ubj"))).hexdigest(),
    }


def whole_length(job: Job, rounds: int) -> Length:
    """No early stopping."""
    return Length(rounds=rounds, early_stopping=rounds, every=job.policy.checkpoint_rounds)


def held_out_auc(fitted: Fitted, held: Sequence[Labelled]) -> float:
    """Area under the ROC curve of the raw scores; not a number where one class is missing."""
    scores = np.concatenate([fitted.booster.inplace_predict(rows) for rows, _ in held])
    area = auc(np.concatenate([labels for _, labels in held]), scores)
    return area.value if area else float("nan")


if __name__ == "__main__":
    main(sys.argv[1:])
