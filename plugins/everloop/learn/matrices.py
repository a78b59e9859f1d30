"""The fitting and the validation rows as XGBoost takes them, in memory or in pages on disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from everloop.errors import TrainingError
from everloop.learn.device import Machine, has_cupy
from everloop.learn.encode import Encoder
from everloop.learn.examples import Examples
from everloop.learn.split import FIT, VALIDATION

if TYPE_CHECKING:
    import xgboost

BINS = 256
"""XGBoost's own default of `max_bin`."""

PAGES = "pages"
"""The folder of what does not fit into memory."""


@dataclass(frozen=True)
class Matrices:
    """Quantile matrices of one encoder; the validation rows are binned as the training rows are."""

    training: xgboost.DMatrix
    validation: xgboost.DMatrix


def matrices(examples: Examples, encoder: Encoder, machine: Machine, *, bins: int = BINS, external: bool = False) -> Matrices:
    """The matrices of a fit on `machine`. Either way rows stream in by batches, so that bins, and a model of the CPU, are equal.

    In memory a value takes its bin's one or two bytes. `external` keeps the bins in pages beside the examples, which XGBoost
    removes with the matrices; what a killed process left of them is removed first.
    """
    told: dict[str, Any] = {"nthread": machine.threads, "max_bin": bins, "enable_categorical": True}
    pages = _emptied(examples.path.parent / PAGES) if external else None
    training = _matrix(examples, encoder, FIT, machine.device, pages, told)
    return Matrices(training, _matrix(examples, encoder, VALIDATION, machine.device, pages, {**told, "ref": training}))


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _matrix(
    examples: Examples, encoder: Encoder, part: str, device: str, pages: Path | None, told: dict[str, Any]
) -> xgboost.DMatrix:
    import xgboost

    from everloop.learn.stream import EncodedBatches

    convert = _device_arrays(pages) if device == "cuda" else None
    if pages is None:
        return xgboost.QuantileDMatrix(EncodedBatches(examples, encoder, part, convert=convert), **told)
    batches = EncodedBatches(examples, encoder, part, cache=str(pages / part), convert=convert)
    return xgboost.ExtMemQuantileDMatrix(batches, **told)


def _device_arrays(pages: Path | None) -> Callable[[Any], Any] | None:
    """What takes rows to the GPU, so that their bins are made there; without CuPy they are made by the CPU, but not pages."""
    if has_cupy():
        import cupy

        return cast("Callable[[Any], Any]", cupy.asarray)
    if pages is None:
        return None
    raise TrainingError(
        "The set exceeds TrainingPolicy.memory_mb and the fit runs on cuda, where pages need CuPy, which is not installed: "
        "install cupy-cuda12x, raise memory_mb, or hide the GPU (CUDA_VISIBLE_DEVICES=)"
    )
