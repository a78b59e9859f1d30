"""Tune and train in fresh processes: CUDA and OpenMP do not survive the fork that a task runs in."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from everloop.decide.policy import Overrides
from everloop.decide.training.place import choose, local
from everloop.errors import TrainingError
from everloop.learn.examples import LABEL, PART, Examples
from everloop.learn.fit import Length, parameters
from everloop.learn.job import TRAINED, Job, Trained, Tuned, ask, give, read
from everloop.learn.job import TUNED as TUNED_FILE
from everloop.learn.split import FIT, VALIDATION
from everloop.learn.train import encoder_of, finished
from everloop.ports import Cluster, Lake
from everloop.release import MODEL as MODEL_FILE
from everloop.settings import PROJECT
from everloop.steps.training.examples import Definition
from everloop.steps.training.lineage import LINEAGE, lineage
from everloop.steps.training.staging import (
    DEFINITION,
    EXAMPLES,
    MODEL,
    TUNED,
    decode,
    encode,
    stage_files,
    staged_batches,
    staged_files,
)
from everloop.use_case import UseCase


def tune(lake: Lake, use_case: UseCase, run: str, work: Path) -> dict[str, Any]:
    """Make the policy's trials and stage the winner with all of them; nothing is fitted when there is no choice."""
    began, policy, folder = time.monotonic(), use_case.training, work / "tune"
    tuned = Tuned(overrides=dict(policy.candidates[0]) if policy.candidates else {}, trials=())
    if policy.search or len(policy.candidates) > 1:
        job, examples = _given(lake, use_case, run, folder, {})
        place = local(policy, examples.count(FIT, VALIDATION), len(job.columns))
        _process("tune", replace(job, external=place.external), run, folder)
        tuned = read(folder, TUNED_FILE, Tuned)
    stage_files(lake, run, TUNED, {TUNED_FILE: encode(tuned)})
    tried = [
        {"parameters": trial.parameters, "validation_log_loss": trial.loss, "rounds": trial.rounds, "state": trial.state}
        for trial in tuned.trials
    ]
    return {"parameters": tuned.overrides, "tried": tried, "seconds": time.monotonic() - began}


def train(lake: Lake, cluster: Cluster | None, use_case: UseCase, run: str, work: Path) -> dict[str, Any]:
    """Fit, calibrate and stage the model. Killed anywhere and run again on one machine, it gives the same bytes.

    On a `cluster` (`None` for none) when the policy asks for workers, else in a fresh process, which goes on from the
    checkpoint that a killed one left in `work`. `because` tells the choice.
    """
    began, folder = time.monotonic(), work / "train"
    tuned = decode(staged_files(lake, run, TUNED)[TUNED_FILE], Tuned)
    job, examples = _given(lake, use_case, run, folder, tuned.overrides)
    place = choose(use_case.training, examples.count(FIT, VALIDATION), len(job.columns), cluster=cluster is not None)
    if cluster is not None and place.workers > 1:
        model, trained = _on_cluster(cluster, run, job, examples, place.workers)
    else:
        _process("train", replace(job, external=place.external), run, folder)
        model, trained = (folder / MODEL_FILE).read_bytes(), read(folder, TRAINED, Trained)
    stage_files(lake, run, MODEL, {MODEL_FILE: model, TRAINED: encode(trained), LINEAGE: encode(lineage())})
    return {
        "device": trained.device,
        "workers": trained.workers,
        "external_memory": place.external,
        "because": place.because,
        "rounds": trained.rounds,
        "validation_log_loss": min(trained.losses),
        "bytes": len(model),
        "fit_seconds": trained.seconds,
        "seconds": time.monotonic() - began,
    }


def _given(lake: Lake, use_case: UseCase, run: str, folder: Path, overrides: Overrides) -> tuple[Job, Examples]:
    """The run's job, and its labelled rows in `folder`."""
    definition = decode(staged_files(lake, run, DEFINITION)["definition.json"], Definition)
    job = Job(columns=definition.columns, categories=use_case.categories, policy=use_case.training, overrides=overrides)
    return job, give(folder, staged_batches(lake, run, [*definition.columns, LABEL, PART]))


def _on_cluster(cluster: Cluster, run: str, job: Job, examples: Examples, workers: int) -> tuple[bytes, Trained]:
    """In this process, unlike a fit on this machine: the executors' own processes fit, the driver waits and calibrates."""
    began, encoder = time.perf_counter(), encoder_of(examples, job)
    settings = parameters(job.policy, job.overrides)
    fitted = cluster.fit(f"{run}/{EXAMPLES}", encoder, settings, Length.of(job.policy), workers=workers)
    return finished(fitted, examples, encoder, job, began)


def _process(module: str, job: Job, run: str, folder: Path) -> None:
    """Run `python -m everloop.learn.<module>` on the rows in `folder`; `TrainingError` with its last words."""
    ask(folder, job)
    path = os.pathsep.join(filter(None, (str(PROJECT / "plugins"), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", f"everloop.learn.{module}", str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        how = f"was ended by signal {-done.returncode}" if done.returncode < 0 else f"ended with code {done.returncode}"
        last = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise TrainingError(
            f"The {module} process of {run} {how}; its input is kept in {folder}. Signal 9 mostly means that memory ran out: "
            f"lower TrainingPolicy.memory_mb or give the task more. Its last words:\n{last}"
        )
