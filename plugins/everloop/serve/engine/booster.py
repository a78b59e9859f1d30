"""XGBoost's own predictor by its C API: what `Booster.inplace_predict` does, without the Python around it."""

from __future__ import annotations

import ctypes
import json
import os
from functools import cache
from typing import Any, Protocol

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before xgboost starts its threads: spinning ones starve a shared machine

import numpy as np
import numpy.typing as npt
from xgboost.libpath import find_lib_path

from everloop.learn.scoring import load_booster

Matrix = npt.NDArray[np.float32]
Raw = npt.NDArray[np.floating[Any]]

_ALL_TREES = json.dumps(
    {
        "type": 0,
        "training": False,
        "iteration_begin": 0,
        "iteration_end": 0,
        "strict_shape": False,
        "missing": float("nan"),
        "cache_id": 0,
    }
).encode()
"""A probability by all trees, as `inplace_predict` asks for it."""

_ARRAY = '{"data":[%d,true],"shape":[%d,%d],"typestr":"<f4","version":3}'
"""NumPy's array interface, version 3."""


class Engine(Protocol):
    """Raw probabilities of a C-contiguous float32 matrix (rows, columns), NaN for missing. Safe to call from several threads."""

    name: str

    def predict(self, matrix: Matrix) -> Raw:
        """One probability a row, each exactly a float32 that XGBoost's own predictor gives."""


class XgboostEngine:
    """`Engine` on one thread: one row is far too little work to share, requests run side by side instead."""

    name = "xgboost"

    def __init__(self, model: bytes) -> None:
        self.booster = load_booster(model, threads=1)
        self._handle = self.booster.handle
        self._predict = _library().XGBoosterPredictFromDense

    def predict(self, matrix: Matrix) -> Raw:
        """See `Engine.predict`. Raises `ValueError` when the model has another number of columns."""
        rows, columns = matrix.shape
        values = (_ARRAY % (matrix.ctypes.data, rows, columns)).encode()
        shape, dimensions, found = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64(), ctypes.POINTER(ctypes.c_float)()
        failed = self._predict(
            self._handle, values, _ALL_TREES, None, ctypes.byref(shape), ctypes.byref(dimensions), ctypes.byref(found)
        )
        if failed:
            raise ValueError(_last_error())
        # The memory is the booster's, and the next call's.
        return np.ctypeslib.as_array(found, (rows,)).copy()


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(find_lib_path()[0])
    library.XGBGetLastError.restype = ctypes.c_char_p
    library.XGBoosterPredictFromDense.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, *[ctypes.c_void_p] * 4]
    return library


def _last_error() -> str:
    return str(_library().XGBGetLastError().decode(errors="replace")).splitlines()[0]
