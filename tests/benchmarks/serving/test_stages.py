"""The service's own stages, called one by one, are those of a request."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.serving import stages
from benchmarks.serving.departures import bundle, model
from benchmarks.serving.stage import Stage
from everloop.decide.policy import ServicePolicy


def test_each_stage_of_a_request_takes_its_time(everloop_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "CALLS", 50)
    stage = Stage(tmp_path, everloop_database)
    stage.fill()
    found = stages.stages(stage, bundle(model(1), ServicePolicy(feature_cache_seconds=600)))
    assert {"read and check", "arm", "features, from the cache", "engine", "log, write", "answer"} < found.keys()
    assert found["engine"] > 0
