"""The service's own stages, called one by one, are those of a request."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.serve_arrow import a_table
from benchmarks.serving.departures import body, bundle, model, row
from benchmarks.serving.stage import Stage
from benchmarks.serving.stages import stages
from everloop.decide.policy import ServicePolicy
from everloop.serve.shapes.arrow import ArrowStream
from everloop.serve.shapes.rows import JsonRows
from everloop.serve.shapes.shape import Shape


@pytest.mark.parametrize(
    ("shape", "content"), [(JsonRows(), body(row(1))), (ArrowStream(JsonRows()), a_table(row))], ids=["one row", "a table"]
)
def test_each_stage_of_a_request_takes_its_time(everloop_database: str, tmp_path: Path, shape: Shape, content: bytes) -> None:
    stage = Stage(tmp_path, everloop_database)
    stage.fill()
    found = stages(stage, bundle(model(1), ServicePolicy(feature_cache_seconds=600)), shape, content, calls=20)
    assert {"read and check", "arm", "features, from the cache", "engine", "log, write", "answer"} < found.keys()
    assert found["engine"] > 0
