"""A scoring request is a span, its stages are children of it; without configuration there is nothing of the kind."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from everloop.serve.observe.passage import Marks, Passage
from everloop.serve.observe.tracing import Tracing, tracing
from serve.conftest import Server
from serve.observe.collector import Collector
from serve.world import USE_CASE, World, row

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{PARENT}-01"
STAGES = ["read", "features", "score", "log", "write"]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traced(exporter: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider)


def test_stages_are_children_in_their_order_and_within_the_request(traced: Tracing, exporter: InMemorySpanExporter) -> None:
    now = time.perf_counter()
    passage = Passage("r1", now, HEADER.encode(), USE_CASE)
    span = traced.begin(passage, "POST score", {b"traceparent": HEADER.encode()})
    passage.read, passage.told = now + 0.001, now + 0.005
    passage.marks = Marks(USE_CASE, now + 0.001, now + 0.002, now + 0.003, now + 0.004)
    traced.end(span, passage, 200, now + 0.006)
    *stages, request = exporter.get_finished_spans()
    assert [one.name for one in stages] == STAGES
    assert [round((one.end_time - one.start_time) / 1e6, 1) for one in stages] == [1.0] * 5
    assert round((request.end_time - request.start_time) / 1e6, 1) == 6.0
    assert {one.parent.span_id for one in stages} == {request.context.span_id}
    assert f"{request.context.trace_id:032x}" == TRACE
    assert f"{request.parent.span_id:016x}" == PARENT
    assert abs(request.start_time / 1e9 - time.time()) < 5


def test_the_log_names_the_trace_of_the_span(traced: Tracing) -> None:
    passage = Passage("r1", time.perf_counter())
    span = traced.begin(passage, "POST score", {})
    assert passage.trace_id == f"{span.get_span_context().trace_id:032x}"


def test_a_request_that_failed_has_the_stages_that_it_came_through(traced: Tracing, exporter: InMemorySpanExporter) -> None:
    passage = Passage("r1", time.perf_counter())
    traced.end(traced.begin(passage, "POST score", {}), passage, 500, time.perf_counter())
    (request,) = exporter.get_finished_spans()
    assert request.status.status_code is StatusCode.ERROR
    assert request.attributes == {
        "everloop.request_id": "r1",
        "http.request.method": "POST",
        "http.response.status_code": 500,
    }


def test_the_service_sends_its_spans_to_the_collector(
    world: World, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    seq = world.decide(champion=world.publish())
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        server = serve()
        server.follow(seq)
        answer = server.client.post(f"/v1/{USE_CASE}/score", json=row(), headers={"traceparent": HEADER})
        server.client.post(f"/v1/{USE_CASE}/score", json=row(distance=-1))
        server.__exit__()
    assert collector.services == {"everloop-scorer"}
    good, bad = sorted((one for one in collector.spans if one.name == "POST score"), key=lambda one: one.start_time_unix_nano)
    assert (good.trace_id.hex(), good.parent_span_id.hex()) == (TRACE, PARENT)
    told = {one.key: one.value.string_value or one.value.int_value for one in good.attributes}
    assert told["everloop.request_id"] == answer.json()["request_id"]
    assert (told["everloop.use_case"], told["http.response.status_code"]) == (USE_CASE, 200)
    stages = sorted(
        (one for one in collector.spans if one.parent_span_id == good.span_id), key=lambda one: one.start_time_unix_nano
    )
    assert [one.name for one in stages] == STAGES
    assert good.start_time_unix_nano <= stages[0].start_time_unix_nano + 1_000_000
    assert bad.trace_id.hex() != TRACE


def test_without_configuration_opentelemetry_is_not_even_imported() -> None:
    assert tracing({}) is None
    program = "import sys, everloop.serve.app; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0


def test_without_the_packages_the_service_goes_on_and_says_which_to_install() -> None:
    program = (
        "import sys, logging; logging.basicConfig(); sys.modules['opentelemetry.sdk.trace'] = None\n"
        "from everloop.serve.observe.tracing import tracing\n"
        "sys.exit(tracing({'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://127.0.0.1:1'}) is not None)"
    )
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "install opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http" in done.stderr
