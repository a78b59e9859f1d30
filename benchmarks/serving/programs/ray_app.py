"""A Ray Serve deployment of one replica that takes the Starlette request itself."""

from __future__ import annotations

import os

import numpy as np
import ray
import xgboost
from ray import serve
from starlette.requests import Request

QUIET = {"enable_access_log": False}


@serve.deployment(num_replicas=1, max_ongoing_requests=100, ray_actor_options={"num_cpus": 1}, logging_config=QUIET)
class Scoring:
    def __init__(self, model: str) -> None:
        self.booster = xgboost.Booster(model_file=model)
        self.booster.set_param({"nthread": 1})

    async def __call__(self, request: Request) -> dict[str, float]:
        given = np.array([(await request.json())["features"]], dtype=np.float32)
        return {"score": float(self.booster.inplace_predict(given)[0])}


if __name__ == "__main__":
    ray.init(include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])}, logging_config=QUIET)
    serve.run(Scoring.bind(os.environ["MODEL"]), route_prefix="/score", blocking=True)
