"""The routes that score, as a bare ASGI callable: frameworks take longer than the model does."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from everloop.serve.access import Access, Scope
from everloop.serve.http.admission import admitted
from everloop.serve.http.body import ClientGoneError, Receive, read_body
from everloop.serve.http.reply import Send, send_reply, whole
from everloop.serve.http.shedding import FULL, Gate
from everloop.serve.observe.passage import CURRENT, TRACEPARENT, Passage
from everloop.serve.observe.tracing import Tracing
from everloop.serve.problems import Refused, refuse
from everloop.serve.request import Request
from everloop.serve.service import Service
from everloop.serve.shapes.shape import Reply, Sent, Shape

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_LOG = logging.getLogger("everloop.serve")


class Route(NamedTuple):
    """Where a path leads: whose rows, in which form, under which name in the metrics."""

    use_case: str
    shape: Shape
    name: str


class Sending(NamedTuple):
    """A request that is being read: its headers, its query string, and where its body comes from."""

    headers: Mapping[bytes, bytes]
    query: bytes
    receive: Receive


class ScoringRoutes:
    """Reads a request, has it answered, writes the answer; counts, times and, where `tracing` is given, traces all of them."""

    def __init__(self, service: Service, access: Access, tracing: Tracing | None, gate: Gate) -> None:
        self._service, self._access, self._tracing, self.gate = service, access, tracing, gate

    async def answer(self, route: Route, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        began, status = time.perf_counter(), 200
        if self._service.full(route.use_case):
            # Before all else: what is refused must cost next to nothing, or those who were accepted wait for it.
            await send(_FULL_HEAD)
            await send(_FULL_BODY)
            self._service.metrics.overloaded(route.use_case)
            self._service.metrics.answered(route.use_case, route.name, 429, time.perf_counter() - began)
            return
        headers = dict(scope["headers"])
        passage = Passage(self._service.name(), began, headers.get(TRACEPARENT))
        span = self._enter(route, passage, headers)
        try:
            admitted(self._access, scope["headers"], Scope.SCORE)
            passage.use_case = route.use_case
            reply = await self._reply(route, passage, Sending(headers, scope["query_string"], receive))
            await send_reply(send, 200, reply, passage.id)
        except Refused as refused:
            status = refused.status
            await send_reply(send, status, route.shape.refused(refused), passage.id)
        except ClientGoneError:
            status = 499
        except Exception:
            status = 500
            _LOG.exception("%s failed", scope["path"])
            failed = refuse(500, "service", None, "failed to answer", _SEND_AGAIN)
            await send_reply(send, status, route.shape.refused(failed), passage.id)
        finally:
            self._leave(route, passage, status, span)

    async def _reply(self, route: Route, passage: Passage, sending: Sending) -> Reply:
        serving = self._service.serving(route.use_case)
        release = serving.champion
        passage.promised = release.manifest.service.latency_ms / 1000
        self._service.enter(route.use_case)
        try:
            body = await read_body(sending.receive, sending.headers, release.manifest.service.maximum_bytes)
            sent = Sent(passage.id, body, sending.headers, sending.query, datetime.now(UTC))
            asked = route.shape.read(release, sent)
            passage.read = time.perf_counter()
            request = Request(sent.id, serving, asked.block, asked.explain, sent.at, passage.began)
            try:
                answer = await self._service.score(request, alone=self.gate.taken == 1)
            finally:
                passage.marks = request.marks
            passage.told = time.perf_counter()
            return route.shape.write(answer, asked.context)
        finally:
            self._service.leave(route.use_case)

    def _enter(self, route: Route, passage: Passage, headers: Mapping[bytes, bytes]) -> Span | None:
        """Give what is logged from here on the request's names; begin its span."""
        CURRENT.set(passage)
        if self._tracing is None:
            return None
        span = self._tracing.begin(passage, f"POST {route.name}", headers)
        span.set_attribute("everloop.use_case", route.use_case)
        return span

    def _leave(self, route: Route, passage: Passage, status: int, span: Span | None) -> None:
        until, metrics = time.perf_counter(), self._service.metrics
        metrics.answered(passage.use_case, route.name, status, until - passage.began)
        metrics.scored(passage, status, until)
        if self._tracing is not None and span is not None:
            self._tracing.end(span, passage, status, until)


_FULL_HEAD, _FULL_BODY = whole(429, FULL)
_SEND_AGAIN = "send it again; if it persists, the service's log says why"
