"""A BentoML service with one async method, as its documentation has them."""

from __future__ import annotations

import os

import bentoml
import numpy as np
import xgboost


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Scoring:
    def __init__(self) -> None:
        self.booster = xgboost.Booster(model_file=os.environ["MODEL"])
        self.booster.set_param({"nthread": 1})

    @bentoml.api
    async def score(self, features: list[float | None]) -> float:
        given = np.array([features], dtype=np.float32)
        return float(self.booster.inplace_predict(given)[0])
