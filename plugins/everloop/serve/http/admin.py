"""The routes beside scoring, and the documentation of all, by FastAPI."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from everloop import __version__
from everloop.serve.access import Access, Scope
from everloop.serve.http.admission import admitted
from everloop.serve.http.body import ClientGoneError, read_body
from everloop.serve.http.openapi import REFUSALS, described
from everloop.serve.http.protocols import add_protocols
from everloop.serve.metrics import CONTENT_TYPE
from everloop.serve.observe.passage import CURRENT, TRACEPARENT, Passage
from everloop.serve.parts import Parts
from everloop.serve.problems import Refused, refuse
from everloop.serve.reading.rows import decode
from everloop.serve.service import Service
from everloop.settings import Settings

_LOG = logging.getLogger("everloop.serve")


class JsonResponse(Response):
    """A JSON answer, encoded by msgspec."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Bytes of any plain value, datetimes included."""
        return msgspec.json.encode(content)


def admin(parts: Parts, settings: Settings, ready_seconds: float, started: Callable[[], None] | None) -> FastAPI:
    """The application, whose start and stop are those of `parts`; see `create_app`."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await parts.start()
        await parts.until_ready(ready_seconds)
        if started is not None:
            started()
        yield
        await parts.stop()

    app = FastAPI(title="everloop scoring service", version=__version__, lifespan=lifespan, responses=REFUSALS)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_failure)
    _add_probes(app, parts)
    _add_routes(app, _Routes(parts.service, parts.access))
    add_protocols(app, parts)
    app.mount("/data-docs", StaticFiles(directory=settings.data_docs, html=True, check_dir=False), name="data-docs")
    app.openapi = described(app)  # type: ignore[method-assign]
    return app


def _add_probes(app: FastAPI, parts: Parts) -> None:
    @app.get("/healthz", tags=["probes"])
    async def alive() -> Response:
        """The process answers."""
        return JsonResponse({"status": "ok"})

    @app.get("/readyz", tags=["probes"])
    async def ready() -> Response:
        """The ledger was read and what it names is loaded. Stays ready when the ledger goes away later."""
        reason = parts.unready()
        status = {"status": "waiting", "reason": reason} if reason else {"status": "ok"}
        known = {name: _served(parts, name) for name in parts.follower.use_cases()}
        waits = {"prediction_log": parts.log_problem() or "ok", "ledger": parts.follower.problem or "ok"}
        return JsonResponse({**status, "use_cases": known, **waits}, 503 if reason else 200)

    @app.get("/metrics", tags=["probes"], response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Prometheus' exposition format."""
        await parts.service.look_at_features()
        parts.present.tell()
        # Adding up the files of many workers takes milliseconds, in which this one is to answer.
        return Response(await asyncio.to_thread(parts.metrics.text), media_type=CONTENT_TYPE)


def _served(parts: Parts, use_case: str) -> dict[str, Any]:
    serving = parts.follower.serving(use_case)
    if serving is None:
        return {"release": None, "problem": parts.follower.unserved(use_case)}
    return {"release": serving.champion.id, "problem": serving.problem}


class _Routes:
    """The routes under /v1 beside scoring: each reads its body and hands it to the service."""

    def __init__(self, service: Service, access: Access) -> None:
        self._service = service
        self._access = access

    async def outcomes(self, use_case: str, request: Request) -> Response:
        """Tell what became of predictions."""
        return await self._run(request, use_case, "outcomes", lambda body: self._service.outcomes(use_case, body))

    async def push(self, use_case: str, view: str, request: Request) -> Response:
        """Push raw rows of a view's source to the online store."""
        return await self._run(request, use_case, "push", lambda body: self._service.push(use_case, view, body))

    async def check(self, use_case: str, request: Request) -> Response:
        """Load a release beside the serving one and score rows by it."""
        return await self._run(request, use_case, "check", lambda body: self._service.check(use_case, body))

    async def state(self, use_case: str, request: Request) -> Response:
        """Who serves, what is loaded, what a request looks like."""

        async def found(_: dict[bytes, bytes]) -> Any:
            return self._service.state(use_case)

        return await self._guarded(request, use_case, "state", Scope.READ, found)

    async def _run(
        self, request: Request, use_case: str, route: str, act: Callable[[dict[str, Any]], Awaitable[Any]]
    ) -> Response:
        async def acted(headers: dict[bytes, bytes]) -> Any:
            maximum = self._service.limits(use_case).maximum_bytes
            return await act(decode(await read_body(request.receive, headers, maximum)))

        return await self._guarded(request, use_case, route, Scope(route), acted)

    async def _guarded(
        self, request: Request, use_case: str, route: str, scope: Scope, act: Callable[[dict[bytes, bytes]], Awaitable[Any]]
    ) -> Response:
        """Let a route act for those who may; count it, time it, and answer its refusal."""
        began, status, label, headers = time.perf_counter(), 200, "", dict(request.scope["headers"])
        CURRENT.set(Passage(self._service.name(), began, headers.get(TRACEPARENT)))
        try:
            admitted(self._access, request.scope["headers"], scope)
            label = use_case
            return JsonResponse(await act(headers))
        except Refused as refused:
            status = refused.status
            return JsonResponse(refused.body(), status, headers=refused.headers())
        except ClientGoneError:
            status = 499
            return Response(status_code=status)
        except Exception:
            status = 500
            raise
        finally:
            self._service.metrics.answered(label, route, status, time.perf_counter() - began)


def _add_routes(app: FastAPI, routes: _Routes) -> None:
    posts: tuple[tuple[str, Callable[..., Any], str, dict[str, Any]], ...] = (
        (
            "outcomes",
            routes.outcomes,
            "scoring",
            {"outcomes": [{"key": "...", "label": True, "known_at": "2013-04-01T20:00:00Z"}]},
        ),
        ("push/{view}", routes.push, "features", {"rows": [{}]}),
        ("check", routes.check, "releases", {"release": "0123456789abcdef", "rows": [{}]}),
    )
    for path, act, tag, example in posts:
        app.add_api_route(f"/v1/{{use_case}}/{path}", act, methods=["POST"], tags=[tag], openapi_extra=_body(example))
    app.add_api_route("/v1/{use_case}", routes.state, methods=["GET"], tags=["releases"])


def _body(example: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI description of a JSON body, by example."""
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}, "example": example}}}
    }


async def _on_http_error(request: Request, error: Exception) -> Response:
    """A path or method that does not exist, in the shape of every other error."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    words = refuse(error.status_code, "path", request.url.path, str(error.detail), "the routes are listed at /docs")
    return JsonResponse(words.body(), error.status_code, headers=dict(error.headers or {}))


async def _on_failure(request: Request, error: Exception) -> Response:
    """A defect of ours: the log has the trace, the client has a plain sentence."""
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    words = refuse(500, "service", None, "failed to answer", "send it again; if it persists, the service's log says why")
    return JsonResponse(words.body(), 500)
