"""The usual hand-written service: FastAPI, a pydantic model of the fields, XGBoost's `inplace_predict`."""

from __future__ import annotations

import os

import numpy as np
import xgboost
from fastapi import FastAPI
from pydantic import BaseModel, create_model

NAMES = [f"f{n}" for n in range(27)]
BOOSTER = xgboost.Booster(model_file=os.environ["MODEL"])
BOOSTER.set_param({"nthread": 1})
Fields: type[BaseModel] = create_model("Fields", **dict.fromkeys(NAMES, (float | None, None)))

app = FastAPI()


@app.post("/score")
async def score(row: Fields) -> dict[str, float]:  # type: ignore[valid-type]
    given = np.array([[getattr(row, name) for name in NAMES]], dtype=np.float32)
    return {"score": float(BOOSTER.inplace_predict(given)[0])}
