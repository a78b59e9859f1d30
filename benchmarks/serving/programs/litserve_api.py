"""A LitServe API: `setup`, `decode_request`, `predict`, `encode_response`."""

from __future__ import annotations

import os
from typing import Any

import litserve
import numpy as np
import xgboost


class Scoring(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002
        self.booster = xgboost.Booster(model_file=os.environ["MODEL"])
        self.booster.set_param({"nthread": 1})

    def decode_request(self, request: dict[str, Any]) -> Any:
        return np.array([request["features"]], dtype=np.float32)

    def predict(self, x: Any) -> Any:
        return self.booster.inplace_predict(x)

    def encode_response(self, output: Any) -> dict[str, float]:
        return {"score": float(output[0])}


if __name__ == "__main__":
    server = litserve.LitServer(Scoring(), accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), num_api_servers=1, log_level="warning", generate_client_file=False)
