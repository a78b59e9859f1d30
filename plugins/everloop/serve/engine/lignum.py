"""pylignum, a faster predictor of XGBoost's models, where it is installed: one row takes it a tenth of XGBoost's time.

It is young and has one author, so no release is scored by it unproved: `proof` compares it with XGBoost bit by bit first.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from everloop.serve.engine.booster import Matrix, Raw


def installed() -> bool:
    """Whether there is a pylignum."""
    return find_spec("lignum") is not None


class LignumEngine:
    """`Engine` of a model in pylignum's own form, which only the version that wrote it is known to read."""

    name = "lignum"

    def __init__(self, model: bytes) -> None:
        import lignum

        with _file(model, ".bin") as path:
            self._model: Any = lignum.load(str(path), format="lignum")

    def predict(self, matrix: Matrix) -> Raw:
        """See `Engine.predict`. What it compares are doubles, so it is given the float32 that XGBoost would see."""
        found: Raw = self._model.predict(matrix.astype(np.float64), n_jobs=1, strategy="serial")
        return found


def converted(model: bytes) -> bytes:
    """UBJ bytes of an XGBoost model in pylignum's own form. Raises what pylignum raises for a model that it cannot read."""
    import lignum

    with _file(model, ".ubj") as given, _file(b"", ".bin") as made:
        lignum.load(str(given), format="xgboost").save(str(made))
        return made.read_bytes()


class _file:  # noqa: N801 - a context manager that reads as a function
    """A file with this content, gone at exit: what was loaded of it stays mapped."""

    def __init__(self, content: bytes, suffix: str) -> None:
        self._content, self._suffix = content, suffix

    def __enter__(self) -> Path:
        with tempfile.NamedTemporaryFile(prefix="everloop-model-", suffix=self._suffix, delete=False) as file:
            file.write(self._content)
        self._path = Path(file.name)
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink()
