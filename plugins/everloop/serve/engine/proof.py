"""`python -m everloop.serve.engine.proof COLUMNS`: an XGBoost model on stdin, the same for pylignum on stdout if proved equal.

In a process of its own: conversion holds the interpreter's lock for tens of milliseconds, and foreign code may crash on a
model that it does not understand. Neither may touch a request.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from everloop.serve.engine.booster import Engine, Matrix, XgboostEngine
from everloop.serve.engine.edges import edge_rows
from everloop.serve.engine.lignum import LignumEngine, converted

SECONDS = 60.0

_ONE_BY_ONE = 256
"""A single row may take another way through an engine than many."""


class NotProvedError(Exception):
    """The faster engine is not to be used for this model; says why."""


def prove(model: bytes, columns: int) -> bytes:
    """`model` in pylignum's form, after it gave XGBoost's very bits. Raises `NotProvedError` otherwise."""
    command = [sys.executable, "-m", "everloop.serve.engine.proof", str(columns)]
    try:
        done = subprocess.run(command, input=model, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise NotProvedError(f"pylignum took longer than {SECONDS:g} s to convert and prove the model") from None
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().splitlines() or [f"it ended with {done.returncode}"]
        raise NotProvedError(told[-1])
    return done.stdout


def compared(ours: Engine, theirs: Engine, rows: Matrix) -> None:
    """Raise `NotProvedError` unless both engines give the same bits for `rows`, all at once and one by one."""
    expected = theirs.predict(rows).astype(np.float32).view(np.uint32)
    together = ours.predict(rows).astype(np.float32).view(np.uint32)
    alone = np.concatenate([ours.predict(rows[i : i + 1]) for i in range(_ONE_BY_ONE)]).astype(np.float32).view(np.uint32)
    differ = int((together != expected).sum() + (alone != expected[:_ONE_BY_ONE]).sum())
    if differ:
        raise NotProvedError(f"{ours.name} differs from {theirs.name} in {differ} of {len(rows) + _ONE_BY_ONE} rows at the edges")


def main() -> None:
    """See the module."""
    model, columns = sys.stdin.buffer.read(), int(sys.argv[1])
    made = converted(model)
    xgboost = XgboostEngine(model)
    compared(LignumEngine(made), xgboost, edge_rows(xgboost.booster, columns))
    sys.stdout.buffer.write(made)


if __name__ == "__main__":
    main()
