"""A model server by KServe's Python SDK: a `Model` with `load` and `predict`, asked by the v1 protocol."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import xgboost
from kserve import Model, ModelServer


class Scoring(Model):
    def __init__(self) -> None:
        super().__init__("scoring")
        self.load()

    def load(self) -> bool:
        self.booster = xgboost.Booster(model_file=os.environ["MODEL"])
        self.booster.set_param({"nthread": 1})
        self.ready = True
        return self.ready

    async def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> dict[str, Any]:  # noqa: ARG002
        given = np.array(payload["instances"], dtype=np.float32)
        return {"predictions": self.booster.inplace_predict(given).tolist()}


if __name__ == "__main__":
    ModelServer().start([Scoring()])
