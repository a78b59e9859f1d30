"""A cluster without machines: the rows that the lake staged, fitted in this process."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from everloop.errors import TrainingError
from everloop.learn.device import Machine
from everloop.learn.encode import Encoder
from everloop.learn.examples import LABEL, PART, Examples
from everloop.learn.fit import Fitted, Length, Settings, fit
from everloop.learn.matrices import matrices
from everloop.ports import Lake


@dataclass
class MemoryCluster:
    """`ports.Cluster` with so many `slots`."""

    lake: Lake
    slots: int = 2

    def fit(self, staged: str, encoder: Encoder, settings: Settings, length: Length, *, workers: int) -> Fitted:
        if workers > self.slots:
            raise TrainingError(f"Training on {workers} workers failed: there are {self.slots} slots")
        with tempfile.TemporaryDirectory() as folder:
            examples = Examples(Path(folder) / "examples.parquet")
            examples.write(self.lake.staged_batches(staged, [*encoder.columns, LABEL, PART]))
            machine = Machine("cpu", 1)
            fitted = fit(matrices(examples, encoder, machine), settings, length, machine)
        return replace(fitted, device="spark", workers=workers)
