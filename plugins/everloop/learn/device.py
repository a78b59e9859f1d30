"""Where a model is fitted: on a CUDA device when the machine has one, else on the CPU."""

from __future__ import annotations

import ctypes
import json
import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xgboost


@dataclass(frozen=True)
class Machine:
    """What a fit runs on: `cpu` or `cuda`, and how many threads, on which a model of the CPU does not depend."""

    device: str
    threads: int

    @classmethod
    def here(cls, threads: int | None = None) -> Machine:
        """The machine that this is; a thread a core unless told otherwise."""
        return cls(available(), threads or os.cpu_count() or 1)


def available() -> str:
    """`cuda` when the driver is there and shows a device, else `cpu`.

    Asked of the driver itself, since XGBoost falls back to the CPU with a warning only.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "cpu"
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "cpu"
    return "cuda"


def has_cupy() -> bool:
    """Whether CuPy is installed, with which a fit on CUDA makes its bins on the GPU: other bins than the CPU's by a little."""
    return find_spec("cupy") is not None


def used(booster: xgboost.Booster) -> str:
    """Where XGBoost says that it trained: `cpu` or `cuda`."""
    config = json.loads(booster.save_config())
    return str(config["learner"]["generic_param"]["device"]).partition(":")[0]
