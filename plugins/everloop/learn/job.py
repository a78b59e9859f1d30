"""What a training process is given and what it leaves: files in one folder, each written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from everloop.decide.policy import TrainingPolicy
from everloop.release import Calibrator

if TYPE_CHECKING:
    import pyarrow as pa

JOB, EXAMPLES, TRAINED, TUNED = "job.json", "examples.parquet", "trained.json", "tuned.json"
LABEL, PART = "label", "part"

Overrides = dict[str, float | int | str]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Job:
    """`columns`: the model's inputs in order; `categories`: the categorical ones. `overrides` win over the policy's parameters.

    `threads`: `None` takes all cores; the model's bytes do not depend on it.
    """

    columns: tuple[str, ...]
    categories: tuple[str, ...]
    policy: TrainingPolicy
    overrides: Overrides = field(default_factory=dict)
    threads: int | None = None


@dataclass(frozen=True, kw_only=True)
class Trained:
    """All of a fitted model but its bytes. `rounds`: trees kept; `losses`: validation log loss by round; `seconds`: how long."""

    columns: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    calibrator: Calibrator
    parameters: Mapping[str, float | int | str]
    device: str
    rounds: int
    losses: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The overrides that won, and the validation log loss of each that was tried."""

    overrides: Overrides
    tried: tuple[tuple[Overrides, float], ...]


def give(folder: Path, job: Job, examples: pa.Table) -> None:
    """Lay out a job's input in `folder`."""
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(examples, folder / EXAMPLES)
    put(folder, JOB, msgspec.json.encode(job))


def take(folder: Path) -> tuple[Job, pa.Table]:
    """The input of a job: its examples have the job's columns, `label` and `part`."""
    import pyarrow.parquet as pq

    return read(folder, JOB, Job), pq.read_table(folder / EXAMPLES)


def put(folder: Path, name: str, content: bytes) -> None:
    """Write a file so that it is either whole or absent."""
    partial = folder / f"{name}.partial"
    partial.write_bytes(content)
    partial.replace(folder / name)


def read(folder: Path, name: str, kind: type[T]) -> T:
    """A JSON file as the value that it holds."""
    return msgspec.json.decode((folder / name).read_bytes(), type=kind)
