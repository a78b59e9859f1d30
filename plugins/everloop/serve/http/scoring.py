"""The routes that score, as a bare ASGI callable: frameworks take longer than the model does."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from everloop.serve.access import Access, Scope
from everloop.serve.http.admission import admitted
from everloop.serve.http.body import ClientGoneError, Receive, read_body
from everloop.serve.http.reply import Send, send_reply, whole
from everloop.serve.problems import Refused, refuse
from everloop.serve.request import Request
from everloop.serve.service import Service
from everloop.serve.shapes.shape import Reply, Sent, Shape, told

_LOG = logging.getLogger("everloop.serve")


class Route(NamedTuple):
    """Where a path leads: whose rows, in which form, under which name in the metrics."""

    use_case: str
    shape: Shape
    name: str


class ScoringRoutes:
    """Reads a request, has it answered, writes the answer; counts and times all of them."""

    def __init__(self, service: Service, access: Access) -> None:
        self._service, self._access = service, access

    async def answer(self, route: Route, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        began, status, use_case = time.perf_counter(), 200, ""
        if self._service.full(route.use_case):
            # Before all else: what is refused must cost next to nothing, or those who were accepted wait for it.
            await send(_FULL_HEAD)
            await send(_FULL_BODY)
            self._service.metrics.answered(route.use_case, route.name, 429, time.perf_counter() - began)
            return
        try:
            admitted(self._access, scope["headers"], Scope.SCORE)
            use_case = route.use_case
            reply = await self._reply(route, scope, receive, began)
            await send_reply(send, 200, reply)
        except Refused as refused:
            status = refused.status
            await send_reply(send, status, route.shape.refused(refused))
        except ClientGoneError:
            status = 499
        except Exception:
            status = 500
            _LOG.exception("%s failed", scope["path"])
            failed = refuse(500, "service", None, "failed to answer", _SEND_AGAIN)
            await send_reply(send, status, route.shape.refused(failed))
        finally:
            self._service.metrics.answered(use_case, route.name, status, time.perf_counter() - began)

    async def _reply(self, route: Route, scope: Mapping[str, Any], receive: Receive, began: float) -> Reply:
        headers = dict(scope["headers"])
        serving = self._service.serving(route.use_case)
        release = serving.champion
        with self._service.place(route.use_case):
            body = await read_body(receive, headers, release.manifest.service.maximum_bytes)
            sent = Sent(self._service.name(), body, headers, scope["query_string"], datetime.now(UTC))
            asked = route.shape.read(release, sent)
            answer = await self._service.score(Request(sent.id, serving, asked.block, asked.explain, sent.at, began))
            return route.shape.write(answer, asked.context)


_FULL = refuse(429, "requests in flight", None, "must stay below the service's maximum", "wait a moment and send it again", 1.0)
_FULL_HEAD, _FULL_BODY = whole(429, told(_FULL))
_SEND_AGAIN = "send it again; if it persists, the service's log says why"
