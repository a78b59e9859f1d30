"""everloop's scoring service under comparison: a release of the same model whose features all come in the request."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.process import ROOT
from benchmarks.serving.load import compact
from benchmarks.serving.servers import Server
from benchmarks.serving.work import FEATURES, Row, Work
from everloop.adapters.ledger import PostgresLedger
from everloop.adapters.releases import ReleaseFiles
from everloop.decide.policy import ServicePolicy
from everloop.decide.release.state import ReleaseState
from everloop.ports import Decision
from everloop.release import MODEL, REQUEST_FUNCTIONS, Bundle, Calibrator, FeaturePlan, Manifest, sha256
from everloop.stack.ports import free_port

USE_CASE = "rows"
BEGIN = datetime(2013, 1, 1, tzinfo=UTC)


def ours(folder: Path, database: str, work: Work) -> Server:
    """The service as it is installed: every answer is checked, logged and shipped to PostgreSQL; `database` has our schema."""
    releases = folder / "releases"
    release = ReleaseFiles(str(releases)).put(bundle(work.model.read_bytes()))
    begun = Decision(
        actor="benchmark", action="forced", subject=release, after=ReleaseState(champion=release), reason="the only one"
    )
    PostgresLedger(database).append(USE_CASE, begun, expected=0, at=BEGIN)
    port = free_port()
    return Server(
        name="everloop",
        command=(sys.executable, "-m", "everloop.serve", "--port", str(port)),
        port=port,
        path=f"/v1/{USE_CASE}/score",
        body=body,
        score=score,
        about="request checks, arm, decision and durable prediction log included; PostgreSQL's own CPU and memory are not",
        environment={
            "PYTHONPATH": str(ROOT / "plugins"),
            "EVERLOOP_HOME": str(folder / "home"),
            "EVERLOOP_DATABASE": database,
            "EVERLOOP_MLFLOW": "http://127.0.0.1:1",
            "EVERLOOP_RELEASES": str(releases),
        },
    )


def body(row: Row) -> bytes:
    """One row under its key."""
    return compact({"key": "row", **dict(zip(FEATURES, row, strict=True))})


def score(answer: bytes) -> float:
    """The probability of the only row."""
    return float(json.loads(answer)["results"][0]["score"])


def bundle(model: bytes) -> Bundle:
    """A release that answers the model's own probability: no views, no calibration."""
    suite = {"name": "request", "expectations": []}
    files = {MODEL: model, REQUEST_FUNCTIONS: b"", "suites/request.json": json.dumps(suite).encode()}
    manifest = Manifest(
        use_case=USE_CASE,
        columns=FEATURES,
        categories={},
        calibrator=Calibrator(x=(0.0, 1.0), y=(0.0, 1.0)),
        threshold=0.5,
        plan=FeaturePlan(service=USE_CASE, request=dict.fromkeys(FEATURES, "float"), views=()),
        entity=(FEATURES[0],),
        service=ServicePolicy(),
        request_suite="request",
        shadow_share=0.0,
        snapshot={},
        trained_from=BEGIN,
        trained_through=BEGIN,
        parameters={},
        metrics={},
        lineage={},
        files={name: sha256(content) for name, content in files.items()},
    )
    return Bundle(manifest, files)
