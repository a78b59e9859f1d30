"""Each peer is asked for the whole row, in order, and its answer is read; its command listens where it is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serving import ours
from benchmarks.serving.peers import PEERS, XGBOOST
from benchmarks.serving.servers import Server
from benchmarks.serving.work import FEATURES, Row, Work

ROW: Row = (0.25, None, *[float(n) for n in range(2, 27)])
NAMED = dict(zip(FEATURES, ROW, strict=True))

SENT: dict[str, Callable[[Any], list[Any]]] = {
    "FastAPI": lambda told: [told[name] for name in FEATURES],
    "MLflow": lambda told: told["dataframe_split"]["data"][0],
    "MLflow, tensor": lambda told: told["inputs"][0],
    "KServe": lambda told: told["instances"][0],
    "BentoML": lambda told: told["data"][0],
    "LitServe": lambda told: told["features"],
    "Ray Serve": lambda told: told["features"],
}
"""Where the program of each peer, or the peer itself, looks for the row."""

ANSWERS = {
    "FastAPI": b'{"score":0.75}',
    "MLflow": b'{"predictions": [0.75]}',
    "MLflow, tensor": b'{"predictions": [0.75]}',
    "KServe": b'{"predictions":[0.75]}',
    "BentoML": b"[0.75]",
    "LitServe": b'{"score":0.75}',
    "Ray Serve": b'{"score":0.75}',
}


@pytest.fixture
def work(tmp_path: Path) -> Work:
    for name in ("MLflow", "MLflow, tensor"):
        (tmp_path / name).mkdir()  # as if the model had been kept for MLflow already
    return Work(tmp_path / "model.ubj", (ROW,), (0.75,))


def server(name: str, work: Work) -> Server:
    return PEERS[name].server(Path("/env/bin/python"), work, 8123)


@pytest.mark.parametrize("name", list(PEERS))
def test_a_peer_gets_every_value_in_order_and_its_probability_is_read(name: str, work: Work) -> None:
    peer = server(name, work)
    body = peer.body(ROW)
    assert b"\n" not in body
    assert SENT[name](json.loads(body)) == list(ROW)
    assert peer.score(ANSWERS[name]) == 0.75


@pytest.mark.parametrize("name", list(PEERS))
def test_a_peer_runs_in_its_own_environment_on_the_port_that_is_asked(name: str, work: Work) -> None:
    peer = server(name, work)
    assert peer.name == name
    assert Path(peer.command[0]).parent == Path("/env/bin")
    assert "8123" in [*peer.command, *peer.environment.values()]
    assert all("==" in requirement for requirement in (*PEERS[name].requirements, XGBOOST))


def test_mlflow_is_told_the_columns_of_its_row(work: Work) -> None:
    assert json.loads(server("MLflow", work).body(ROW))["dataframe_split"]["columns"] == list(FEATURES)


def test_ours_gets_the_same_row_by_name_and_its_release_asks_for_just_that() -> None:
    told = json.loads(ours.body(ROW))
    assert {name: value for name, value in told.items() if name in FEATURES} == NAMED
    assert ours.score(b'{"request_id":"1","results":[{"score":0.75,"decision":true}]}') == 0.75
    bundle = ours.bundle(b"model")
    bundle.verify()
    assert tuple(bundle.manifest.plan.request) == bundle.manifest.columns == FEATURES
