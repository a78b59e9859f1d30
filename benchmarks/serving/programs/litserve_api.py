"""A LitServe API that batches what waits, without waiting itself; it would take annotations for FastAPI's."""

import os

import litserve
import numpy as np
import xgboost


class Scoring(litserve.LitAPI):
    def setup(self, device):  # noqa: ARG002
        self.booster = xgboost.Booster(model_file=os.environ["MODEL"])
        self.booster.set_param({"nthread": 1})

    def decode_request(self, request):
        return np.array(request["features"], dtype=np.float32)

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, x):
        return self.booster.inplace_predict(x)

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return {"score": float(output)}


if __name__ == "__main__":
    server = litserve.LitServer(
        Scoring(max_batch_size=16, batch_timeout=0), accelerator="cpu", workers_per_device=1, fast_queue=True
    )
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), num_api_servers=1, log_level="warning", generate_client_file=False)
