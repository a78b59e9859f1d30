"""Does the GPU's model rank as well as the CPU's? Both under many seeds, on a tenth of the rows of `train_gpu`.

One seed tells nothing: the rows and columns that each tree is given are drawn in another way on each device, and the AUC of one
device's models spreads more than the devices differ. `python -m benchmarks.train_gpu_auc FOLDER`, laid out by `train_gpu`.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from scipy import stats

from benchmarks import train_gpu
from benchmarks.process import measure
from benchmarks.record import RESULTS, Record
from everloop.learn.device import Machine, available
from everloop.learn.fit import fit, parameters
from everloop.learn.job import take
from everloop.learn.matrices import matrices
from everloop.learn.split import HOLDOUT
from everloop.learn.train import encoder_of

ROWS, SEEDS = 1_000_000, 16
ALL_DRAWN = {"subsample": 1.0, "colsample_bytree": 1.0, "colsample_bylevel": 1.0, "colsample_bynode": 1.0}
TARGET = 0.001


def main(real: Path) -> None:
    """Draw the rows, fit."""
    if available() != "cuda":
        raise SystemExit("no GPU: the NVIDIA driver shows no device here, so there is nothing to compare")
    job, examples = take(real)
    with tempfile.TemporaryDirectory(prefix="everloop-gpu-") as folder:
        train_gpu.lay_out(Path(folder), job, pq.read_table(examples.path), ROWS)
        compare(folder, {"cpu": "cpu", "cuda": "cuda"}, SEEDS)


def compare(folder: str, sides: dict[str, str], seeds: int, rounds: int = train_gpu.ROUNDS, results: Path = RESULTS) -> None:
    """Each side (its name: its device) in a fresh process; the first is the one that the second is held against."""
    record = Record("train_gpu_auc", packages=("xgboost", "numpy", "pyarrow", "scipy"))
    record.fact("seeds", seeds)
    record.fact("rounds", rounds)
    if "cuda" in sides.values():
        record.fact("GPU", train_gpu.gpu_name())
    whole = []
    for side, device in sides.items():
        told = measure("benchmarks.train_gpu_auc", "run", folder=folder, device=device, seeds=seeds, rounds=rounds)
        whole.append(told.value.pop("undrawn"))
        for area in told.value["drawn"]:
            record.sample(side, auc=area)
        record.sample(f"{side}, every row and column in every tree", auc=whole[-1])
    one, other = (record.samples[side]["auc"] for side in sides)
    tested = stats.ttest_ind(other, one, equal_var=False)
    between = tested.confidence_interval(0.95)
    record.fact("second less first, mean AUC, 95 %", [float(between.low), float(between.high)])
    record.fact("spread of the first's seeds, standard deviation", float(stats.tstd(one)))
    record.ratio("difference of mean AUC", abs(sum(other) - sum(one)) / seeds, TARGET, "lower")
    record.ratio("difference of AUC, every row and column in every tree", abs(whole[0] - whole[1]), TARGET, "lower")
    record.finish(results)


def run(folder: str, device: str, seeds: int, rounds: int) -> dict[str, Any]:
    """AUC on the held-out rows under each seed, and once without draws."""
    job, examples = take(Path(folder))
    encoder, machine = encoder_of(examples, job), replace(Machine.here(job.threads), device=device)
    made, held = matrices(examples, encoder, machine), list(examples.encoded(HOLDOUT, encoder))
    length, shipped = train_gpu.whole_length(job, rounds), parameters(job.policy, {})

    def area(**other: float) -> float:
        return train_gpu.held_out_auc(fit(made, {**shipped, **other}, length, machine), held)

    return {"drawn": [area(seed=seed) for seed in range(seeds)], "undrawn": area(**ALL_DRAWN)}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
