"""`mlflow models serve` as a peer, asked in either of the two ways that suit an XGBoost model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from benchmarks.process import measure
from benchmarks.serving.load import compact
from benchmarks.serving.servers import Server
from benchmarks.serving.work import FEATURES, Row, Work

MLFLOW = ("mlflow==3.17.2", "uvloop==0.23.0", "httptools==0.9.0")
"""uvicorn takes the faster loop and parser by itself once they are there."""
QUIET = {"UVICORN_ACCESS_LOG": "false", "UVICORN_LOG_LEVEL": "warning", "MLFLOW_DISABLE_TELEMETRY": "true"}
SIGNED = {"MLflow": "columns", "MLflow, tensor": "one tensor"}


def named(python: Path, work: Work, port: int) -> Server:
    """Asked by `dataframe_split`: what a table's model, logged with its columns, is asked by."""
    return _server("MLflow", python, work, port, lambda row: compact({"dataframe_split": {"columns": FEATURES, "data": [row]}}))


def tensor(python: Path, work: Work, port: int) -> Server:
    """Asked by `inputs`: faster, for a model that has forgotten the names of its features."""
    return _server("MLflow, tensor", python, work, port, lambda row: compact({"inputs": [row]}))


def _server(name: str, python: Path, work: Work, port: int, body: Callable[[Row], bytes]) -> Server:
    folder = work.model.with_name(name)
    if not folder.exists():
        model, columns = str(work.model), name == "MLflow"
        measure("benchmarks.serving.mlflow_model", "save", python=python, model=model, folder=str(folder), columns=columns)
    serve = (str(python.with_name("mlflow")), "models", "serve", "-m", str(folder), "--env-manager", "local")
    return Server(
        name=name,
        command=(*serve, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        port=port,
        path="/invocations",
        body=body,
        score=lambda answer: json.loads(answer)["predictions"][0],
        about=f"mlflow models serve, XGBoost flavour signed by {SIGNED[name]} (Booster.predict of a DMatrix); uvloop, httptools",
        environment=QUIET,
    )
