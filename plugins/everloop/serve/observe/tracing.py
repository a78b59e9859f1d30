"""OpenTelemetry spans of scoring requests, where that is configured and installed; else none of it is even imported."""

from __future__ import annotations

import importlib
import logging
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from everloop import __version__
from everloop.serve.observe.passage import TRACEPARENT, Passage

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

SERVICE = "everloop-scorer"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PACKAGES = "opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http"
_FAILED = 500
_LOG = logging.getLogger("everloop.serve")


class Tracing:
    """A span for each scoring request, and children for its stages, which are made when it ends of the times that were taken."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider, self._trace = provider, trace
        self._tracer = provider.get_tracer("everloop.serve", __version__)
        self._extract = TraceContextTextMapPropagator().extract

    def begin(self, passage: Passage, route: str, headers: Mapping[bytes, bytes]) -> Span:
        """The span of a request, a child of its `traceparent` if it has one; what is logged names the span's trace."""
        parent = {name: headers[name.encode()].decode("latin-1") for name in _CARRIED if name.encode() in headers}
        span = self._tracer.start_span(
            route,
            self._extract(parent),
            self._trace.SpanKind.SERVER,
            {"everloop.request_id": passage.id, "http.request.method": "POST"},
            start_time=_epoch(passage.began),
        )
        found = span.get_span_context()
        passage.traceparent = b"00-%032x-%016x-%02x" % (found.trace_id, found.span_id, found.trace_flags)
        return span

    def end(self, span: Span, passage: Passage, status: int, until: float) -> None:
        """Close a request's span, with one for each stage that it came through."""
        if span.is_recording():
            span.set_attribute("http.response.status_code", status)
            if status >= _FAILED:
                span.set_status(self._trace.StatusCode.ERROR)
            within = self._trace.set_span_in_context(span)
            for stage, began, ended in _stages(passage, until):
                self._child(within, stage, began, ended)
        span.end(_epoch(until))

    def _child(self, within: Context, stage: str, began: float, ended: float) -> None:
        self._tracer.start_span(stage, within, start_time=_epoch(began)).end(_epoch(ended))

    def stop(self) -> None:
        """Send what is not sent yet; takes as long as the exporter's timeout at most."""
        self._provider.shutdown()


_CARRIED = (TRACEPARENT.decode(), "tracestate")


def _stages(passage: Passage, until: float) -> list[tuple[str, float, float]]:
    if not passage.read:
        return []
    found = [("read", passage.began, passage.read)]
    if passage.marks is not None:
        found += [stage for stage in passage.marks.stages() if stage[2]]
    return [*found, ("write", passage.told, until)] if passage.told else found


def _epoch(moment: float) -> int:
    """Nanoseconds since 1970 of a moment on the clock of `time.perf_counter`."""
    return time.time_ns() + int((moment - time.perf_counter()) * 1e9)


def tracing(environ: Mapping[str, str] = os.environ) -> Tracing | None:
    """Spans to the collector that OpenTelemetry's own variables name, by OTLP over HTTP; `None` where they name none.

    All else is the SDK's: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS and so on.
    """
    if not any(environ.get(name) for name in ENDPOINTS):
        return None
    try:
        exporter = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter").OTLPSpanExporter()
        sdk = importlib.import_module("opentelemetry.sdk.trace")
        export = importlib.import_module("opentelemetry.sdk.trace.export")
    except ImportError as error:
        _LOG.warning("%s is set and no trace is sent: %s; install %s", " or ".join(ENDPOINTS), error, _PACKAGES)
        return None
    resources = importlib.import_module("opentelemetry.sdk.resources")
    named = {} if environ.get("OTEL_SERVICE_NAME") else {"service.name": SERVICE}
    provider = sdk.TracerProvider(resource=resources.Resource.create(named))
    provider.add_span_processor(export.BatchSpanProcessor(exporter))
    return Tracing(provider)
