"""What a training process is given and what it leaves: files in one folder, each written whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from everloop.decide.policy import Overrides, TrainingPolicy
from everloop.learn.device import has_cupy
from everloop.learn.examples import Examples
from everloop.release import Calibrator

if TYPE_CHECKING:
    import pyarrow as pa

JOB, EXAMPLES, TRAINED, TUNED = "job.json", "examples.parquet", "trained.json", "tuned.json"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Job:
    """`columns`: the model's inputs in order; `categories`: the categorical ones. `overrides` win over the policy's parameters.

    `external`: fit from pages on disk; on the CPU the model's bytes do not depend on it. Nor do they on `threads`, of which
    `None` takes one a core.
    """

    columns: tuple[str, ...]
    categories: tuple[str, ...]
    policy: TrainingPolicy
    overrides: Overrides = field(default_factory=dict)
    external: bool = False
    threads: int | None = None


@dataclass(frozen=True, kw_only=True)
class Trained:
    """All of a fitted model but its bytes. `rounds`: trees kept; `losses`: validation log loss by round; `seconds`: how long.

    `device`: `cpu`, `cuda`, or `spark` with as many `workers`.
    """

    columns: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    calibrator: Calibrator
    parameters: Mapping[str, float | int | str]
    device: str
    rounds: int
    losses: tuple[float, ...]
    seconds: float
    workers: int = 1


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One variant that tuning fitted: its smallest validation log loss within `rounds`; a pruned one was given up early."""

    parameters: Overrides
    loss: float
    rounds: int
    state: Literal["complete", "pruned"]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The overrides that won, and every trial in the order in which they were made."""

    overrides: Overrides
    trials: tuple[Trial, ...]


def give(folder: Path, batches: Iterable[pa.RecordBatch]) -> Examples:
    """Lay out a job's labelled rows in `folder`; what an earlier attempt left there stays."""
    folder.mkdir(parents=True, exist_ok=True)
    examples = Examples(folder / EXAMPLES)
    examples.write(batches)
    return examples


def ask(folder: Path, job: Job) -> None:
    """Say what is to be done with them."""
    put(folder, JOB, msgspec.json.encode(job, order="deterministic"))


def take(folder: Path) -> tuple[Job, Examples]:
    """The input of a job: its examples have the job's columns, `label` and `part`."""
    return read(folder, JOB, Job), Examples(folder / EXAMPLES)


def digest(folder: Path, device: str) -> str:
    """SHA-256 of all that makes the model of a fit on `device`: the job, its rows and the libraries that bin and fit."""
    bins = "cupy" if device == "cuda" and has_cupy() else "numpy"
    found = hashlib.sha256(f"xgboost {version('xgboost')} on {device}, bins of {bins}".encode())
    found.update((folder / JOB).read_bytes())
    with (folder / EXAMPLES).open("rb") as rows:
        found.update(hashlib.file_digest(rows, "sha256").digest())
    return found.hexdigest()


def put(folder: Path, name: str, content: bytes) -> None:
    """Write a file so that it is either whole or absent, after a loss of power too."""
    partial = folder / f"{name}.partial"
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / name)


def read(folder: Path, name: str, kind: type[T]) -> T:
    """A JSON file as the value that it holds."""
    return msgspec.json.decode((folder / name).read_bytes(), type=kind)
