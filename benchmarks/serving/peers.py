"""The peers: each set up as its own documentation says, one worker, access logs off, the fastest engine that it documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers import environment
from benchmarks.serving.load import compact
from benchmarks.serving.mlflow_peer import MLFLOW, named, tensor
from benchmarks.serving.servers import Server
from benchmarks.serving.work import FEATURES, Work
from everloop.stack.ports import free_port

PROGRAMS = Path(__file__).with_name("programs")
XGBOOST = f"xgboost=={version('xgboost')}"
"""The same engine for all."""


def fastapi(python: Path, work: Work, port: int) -> Server:
    """By hand."""
    uvicorn = (str(python.with_name("uvicorn")), "fastapi_app:app", "--app-dir", str(PROGRAMS), "--port", str(port))
    return Server(
        name="FastAPI",
        command=(*uvicorn, "--workers", "1", "--no-access-log"),
        port=port,
        path="/score",
        body=lambda row: compact(dict(zip(FEATURES, row, strict=True))),
        score=lambda answer: json.loads(answer)["score"],
        about="FastAPI with a pydantic model of 27 fields, Booster.inplace_predict; uvloop and httptools",
        environment={"MODEL": str(work.model)},
    )


def kserve(python: Path, work: Work, port: int) -> Server:
    """KServe's Python SDK without gRPC; its log configuration, as a file, is where its lines a request are turned off."""
    told = work.model.with_name("kserve.json")
    told.write_text(json.dumps({"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING"}}))
    serve = (str(python), str(PROGRAMS / "kserve_model.py"), "--http_port", str(port), "--workers", "1")
    return Server(
        name="KServe",
        command=(*serve, "--enable_grpc", "false", "--enable_latency_logging", "false", "--log_config_file", str(told)),
        port=port,
        path="/v1/models/scoring:predict",
        body=lambda row: compact({"instances": [row]}),
        score=lambda answer: json.loads(answer)["predictions"][0],
        about="kserve.Model with an async predict, Booster.inplace_predict; v1 protocol",
        environment={"MODEL": str(work.model)},
    )


def bentoml(python: Path, work: Work, port: int) -> Server:
    """`bentoml serve`."""
    serve = (str(python.with_name("bentoml")), "serve", "bento_service:Scoring", "--working-dir", str(PROGRAMS))
    return Server(
        name="BentoML",
        command=(*serve, "--host", "127.0.0.1", "--port", str(port)),
        port=port,
        path="/score",
        body=lambda row: compact({"data": [row]}),
        score=lambda answer: json.loads(answer)[0],
        about="a service with an async api of arrays, Booster.inplace_predict",
        environment={"MODEL": str(work.model), "BENTOML_DO_NOT_TRACK": "true"},
    )


def litserve(python: Path, work: Work, port: int) -> Server:
    """LitServe, its queue by ZeroMQ, what waits in one batch."""
    return Server(
        name="LitServe",
        command=(str(python), str(PROGRAMS / "litserve_api.py")),
        port=port,
        path="/predict",
        body=lambda row: compact({"features": row}),
        score=lambda answer: json.loads(answer)["score"],
        about="a LitAPI with one inference worker, fast_queue, batches up to 16, Booster.inplace_predict",
        environment={"MODEL": str(work.model), "PORT": str(port)},
    )


def ray_serve(python: Path, work: Work, port: int) -> Server:
    """Ray Serve as its guide to high throughput sets it up: HAProxy in front, the replica in one loop."""
    fast = {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}
    # Its proxies are killed and made again and again where two cores do not start them within 5 seconds.
    patient = {"RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60", "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60"}
    return Server(
        name="Ray Serve",
        command=(str(python), str(PROGRAMS / "ray_app.py")),
        port=port,
        path="/score",
        body=lambda row: compact({"features": row}),
        score=lambda answer: json.loads(answer)["score"],
        about="one replica that takes the Starlette request, Booster.inplace_predict; HAProxy and throughput optimised",
        environment={"MODEL": str(work.model), "PORT": str(port), "RAY_USAGE_STATS_ENABLED": "0", **fast, **patient},
    )


@dataclass(frozen=True)
class Peer:
    """A peer: the environment that it runs in, and its server there, of that environment's Python on a port."""

    environment: str
    requirements: tuple[str, ...]
    server: Callable[[Path, Work, int], Server]


PEERS: Mapping[str, Peer] = {
    "FastAPI": Peer("fastapi", ("fastapi==0.163.2", "uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0"), fastapi),
    "MLflow": Peer("mlflow", MLFLOW, named),
    "MLflow, tensor": Peer("mlflow", MLFLOW, tensor),
    "KServe": Peer("kserve", ("kserve==0.21.0",), kserve),
    "BentoML": Peer("bentoml", ("bentoml==1.4.40",), bentoml),
    "LitServe": Peer("litserve", ("litserve==0.2.19",), litserve),
    "Ray Serve": Peer("ray-serve", ("ray[serve,haproxy]==2.60.0",), ray_serve),
}


def peer(name: str, work: Work) -> Server:
    """A peer in its own environment; `subprocess.CalledProcessError` when that cannot be made."""
    chosen = PEERS[name]
    python = environment(f"serve-{chosen.environment}", (*chosen.requirements, XGBOOST))
    return chosen.server(python, work, free_port())
