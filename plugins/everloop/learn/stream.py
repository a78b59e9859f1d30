"""Encoded batches as XGBoost asks for them. Imports xgboost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xgboost

from everloop.learn.encode import Encoder
from everloop.learn.examples import Examples, Labelled


class EncodedBatches(xgboost.DataIter):  # type: ignore[misc]
    """The rows of one part, a batch at a time, as often as asked.

    `cache`: where pages go; without it they stay in memory. `convert`: from NumPy to arrays of the device.
    """

    def __init__(
        self,
        examples: Examples,
        encoder: Encoder,
        part: str,
        cache: str | None = None,
        convert: Callable[[Any], Any] | None = None,
    ) -> None:
        self._examples, self._encoder, self._part = examples, encoder, part
        self._convert = convert or np.asarray
        self._batches: Iterator[Labelled] = iter(())
        self.reset()
        super().__init__(cache_prefix=cache)

    def next(self, input_data: Callable[..., Any]) -> bool:
        """Hand over the next batch; false after the last one."""
        batch = next(self._batches, None)
        if batch is None:
            return False
        matrix, labels = batch
        input_data(
            data=self._convert(matrix),
            label=self._convert(labels.astype(np.float32)),
            feature_names=list(self._encoder.columns),
            feature_types=self._encoder.kinds,
        )
        return True

    def reset(self) -> None:
        """From the first batch on."""
        self._batches = self._examples.encoded(self._part, self._encoder)
