"""The HTTP face of the scoring service: routes, their documentation, start and stop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from everloop import __version__
from everloop.adapters.ledger import PostgresLedger
from everloop.adapters.releases import ReleaseFiles
from everloop.adapters.traffic import PostgresTraffic
from everloop.serve.features import OnlineStore
from everloop.serve.follower import Follower, Releases
from everloop.serve.guard import JsonResponse, authorise, guarded, on_failure, on_http_error, read_body
from everloop.serve.log.durable import Syncer
from everloop.serve.log.process import FOLDER, Shipping, ShippingThread
from everloop.serve.log.segment import PredictionLog
from everloop.serve.metrics import CONTENT_TYPE, Metrics
from everloop.serve.rows import decode
from everloop.serve.service import Service
from everloop.settings import Settings


class Parts:
    """All that one process runs: made in one place, started and stopped in order."""

    def __init__(self, settings: Settings) -> None:
        self.metrics = Metrics()
        self.store = OnlineStore(settings.online or settings.database, self.metrics.found)
        self.log = PredictionLog(settings.home / FOLDER)
        self.syncer = Syncer(self.log)
        self.shipping = ShippingThread(Shipping(self.log.folder, settings.database))
        self.follower = Follower(
            settings.database,
            PostgresLedger(settings.database),
            Releases(ReleaseFiles(settings.releases, settings.s3_endpoint)),
            self.metrics.swapped,
        )
        self.service = Service(self.follower, self.store, self.log, PostgresTraffic(settings.database), self.metrics)

    async def start(self) -> None:
        """Open the store, follow the ledger, ship the log."""
        await self.store.open()
        self.follower.start()
        self.syncer.start()
        self.shipping.start()

    async def stop(self) -> None:
        """Ship the log to its end, then give the segment up."""
        self.follower.stop()
        self.syncer.stop()
        self.shipping.stop()
        self.log.close()
        await self.store.close()

    def unready(self) -> str | None:
        """Why requests should not come yet; `None` once the ledger was read and all that it names was tried."""
        return None if self.follower.looked.is_set() else self.follower.problem or "the ledger was not read yet"


def create_app(settings: Settings) -> FastAPI:
    """The application; its parts start with it, so an app can be made without a database."""
    parts = Parts(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await parts.start()
        yield
        await parts.stop()

    app = FastAPI(title="everloop scoring service", version=__version__, lifespan=lifespan)
    app.state.parts = parts
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_failure)
    _add_probes(app, parts)
    _add_routes(app, _Routes(parts.service, settings.api_key))
    app.mount("/data-docs", StaticFiles(directory=settings.data_docs, html=True, check_dir=False), name="data-docs")
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
        waits = {"prediction_log": parts.shipping.problem or "ok", "ledger": parts.follower.problem or "ok"}
        return JsonResponse({**status, "use_cases": known, **waits}, 503 if reason else 200)

    @app.get("/metrics", tags=["probes"])
    async def metrics() -> Response:
        """Prometheus' exposition format."""
        await parts.service.look_at_features()
        return Response(parts.metrics.text(), media_type=CONTENT_TYPE)


def _served(parts: Parts, use_case: str) -> dict[str, Any]:
    serving = parts.follower.serving(use_case)
    if serving is None:
        return {"release": None, "problem": parts.follower.unserved(use_case)}
    return {"release": serving.champion.id, "problem": serving.problem}


class _Routes:
    """The routes under /v1: each reads its body and hands it to the service."""

    def __init__(self, service: Service, api_key: str | None) -> None:
        self._service = service
        self._api_key = api_key

    async def score(self, use_case: str, request: Request) -> Response:
        """Score one row, or many under `rows`; `explain` adds each feature's contribution."""
        return await self._run(request, use_case, "score", lambda body: self._service.score(use_case, body))

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

        async def found() -> Any:
            authorise(request, self._api_key)
            return self._service.state(use_case)

        return await guarded(self._service.metrics, use_case, "state", found)

    async def _run(
        self, request: Request, use_case: str, route: str, act: Callable[[dict[str, Any]], Awaitable[Any]]
    ) -> Response:
        async def acted() -> Any:
            authorise(request, self._api_key)
            return await act(decode(await read_body(request, self._service.limits(use_case).maximum_bytes)))

        return await guarded(self._service.metrics, use_case, route, acted)


def _add_routes(app: FastAPI, routes: _Routes) -> None:
    posts: tuple[tuple[str, Callable[..., Any], str, dict[str, Any]], ...] = (
        ("score", routes.score, "scoring", {"key": "AA-1-JFK-20130401T1200", "carrier": "AA", "explain": False}),
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
