"""A BentoML service as its XGBoost example has it: an array in, an array out."""

from __future__ import annotations

import os
from typing import Annotated

import bentoml
import numpy as np
import xgboost
from bentoml.validators import DType


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Scoring:
    def __init__(self) -> None:
        self.booster = xgboost.Booster(model_file=os.environ["MODEL"])
        self.booster.set_param({"nthread": 1})

    @bentoml.api
    async def score(self, data: Annotated[np.ndarray, DType("float32")]) -> np.ndarray:
        return self.booster.inplace_predict(data)
