"""Tune and train in fresh processes: CUDA and OpenMP do not survive the fork that a task runs in."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from everloop.errors import TrainingError
from everloop.learn.job import LABEL, PART, TRAINED, Job, Overrides, Trained, Tuned, give, read
from everloop.learn.job import TUNED as TUNED_FILE
from everloop.ports import Lake
from everloop.release import MODEL as MODEL_FILE
from everloop.settings import PROJECT
from everloop.steps.training.examples import Definition
from everloop.steps.training.lineage import LINEAGE, lineage
from everloop.steps.training.staging import DEFINITION, MODEL, TUNED, decode, encode, stage_files, staged_examples, staged_files
from everloop.use_case import UseCase


def tune(lake: Lake, use_case: UseCase, run: str, work: Path) -> dict[str, Any]:
    """Try the policy's candidates on a short budget and stage the winner; nothing is fitted when there is no choice."""
    began = time.monotonic()
    candidates = use_case.training.candidates
    tuned = Tuned(overrides=dict(candidates[0]) if candidates else {}, tried=())
    if len(candidates) > 1:
        _process("tune", lake, use_case, run, work, {})
        tuned = read(work / "tune", TUNED_FILE, Tuned)
    stage_files(lake, run, TUNED, {TUNED_FILE: encode(tuned)})
    tried = [{"parameters": overrides, "validation_log_loss": loss} for overrides, loss in tuned.tried]
    return {"parameters": tuned.overrides, "tried": tried, "seconds": time.monotonic() - began}


def train(lake: Lake, use_case: UseCase, run: str, work: Path) -> dict[str, Any]:
    """Fit, calibrate and stage the model. Killed anywhere and run again, it gives the same bytes."""
    began = time.monotonic()
    tuned = decode(staged_files(lake, run, TUNED)[TUNED_FILE], Tuned)
    _process("train", lake, use_case, run, work, tuned.overrides)
    trained = read(work / "train", TRAINED, Trained)
    model = (work / "train" / MODEL_FILE).read_bytes()
    stage_files(lake, run, MODEL, {MODEL_FILE: model, TRAINED: encode(trained), LINEAGE: encode(lineage())})
    return {
        "device": trained.device,
        "rounds": trained.rounds,
        "validation_log_loss": min(trained.losses),
        "bytes": len(model),
        "fit_seconds": trained.seconds,
        "seconds": time.monotonic() - began,
    }


def _process(module: str, lake: Lake, use_case: UseCase, run: str, work: Path, overrides: Overrides) -> None:
    """Run `python -m everloop.learn.<module>` on the run's examples in `work/<module>`; `TrainingError` with its last words."""
    definition = decode(staged_files(lake, run, DEFINITION)["definition.json"], Definition)
    job = Job(columns=definition.columns, categories=use_case.categories, policy=use_case.training, overrides=overrides)
    examples = staged_examples(lake, run).select([*definition.columns, LABEL, PART])
    folder = work / module
    give(folder, job, examples)
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
            f"shorten TrainingPolicy.window or give the task more. Its last words:\n{last}"
        )
