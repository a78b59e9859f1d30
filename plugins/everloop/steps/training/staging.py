"""What the tasks of one training run hand to each other through the lake: rows, and files as rows."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from everloop.ports import Batches, Lake

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLES, DEFINITION, TUNED, MODEL, EVALUATION = "examples", "definition", "tuned", "model", "evaluation"

T = TypeVar("T")


def stage_files(lake: Lake, run: str, name: str, files: Mapping[str, bytes]) -> None:
    """Keep files by name and bytes, so that the next task may run on another machine."""
    import pyarrow as pa

    rows = {"name": pa.array(files.keys(), pa.string()), "content": pa.array(files.values(), pa.large_binary())}
    lake.stage(f"{run}/{name}", pa.table(rows))


def staged_files(lake: Lake, run: str, name: str) -> dict[str, bytes]:
    """What `stage_files` kept."""
    rows = lake.staged(f"{run}/{name}")
    return dict(zip(rows["name"].to_pylist(), rows["content"].to_pylist(), strict=True))


def stage_examples(lake: Lake, run: str, rows: pa.Table) -> None:
    """Keep the labelled, divided, joined rows."""
    lake.stage(f"{run}/{EXAMPLES}", rows)


def staged_examples(lake: Lake, run: str) -> pa.Table:
    """The labelled rows with their features, `part` and `learnt_label`."""
    return lake.staged(f"{run}/{EXAMPLES}")


def staged_batches(lake: Lake, run: str, columns: Sequence[str]) -> Batches:
    """These columns of them, a batch at a time."""
    return lake.staged_batches(f"{run}/{EXAMPLES}", columns)


def encode(value: object) -> bytes:
    """A value as JSON, mappings in their own order: importance is listed by size, columns as the model takes them."""
    return msgspec.json.encode(value)


def decode(content: bytes, kind: type[T]) -> T:
    """The inverse of `encode`."""
    return msgspec.json.decode(content, type=kind)


def clear(lake: Lake, run: str, work: Path) -> None:
    """Forget what a finished run staged and wrote; clearing twice is fine."""
    lake.unstage(run)
    shutil.rmtree(work, ignore_errors=True)
