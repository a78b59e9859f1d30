"""What clients of other systems ask beside scoring: is it alive, what does it serve, which version is it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

from everloop import __version__
from everloop.serve.access import Scope
from everloop.serve.follower import Serving
from everloop.serve.http.admission import admitted
from everloop.serve.parts import Parts
from everloop.serve.problems import Refused
from everloop.serve.shapes.open_inference.infer import OUTPUTS, in_words, unknown_version
from everloop.serve.shapes.open_inference.tensors import described

_JSON = "application/json"


def add_protocols(app: FastAPI, parts: Parts) -> None:
    """Add the routes to `app`."""
    _add_open_inference(app, parts)
    _add_models(app, parts)
    _add_mlflow(app, parts)


def _add_open_inference(app: FastAPI, parts: Parts) -> None:
    tags: list[str | Enum] = ["open inference protocol"]

    @app.get("/v2", tags=tags, operation_id="v2_server")
    async def server() -> Response:
        """The server's name, version and extensions."""
        return _json({"name": "everloop", "version": __version__, "extensions": ["binary_tensor_data"]})

    @app.get("/v2/health/live", tags=tags, operation_id="v2_live")
    async def live() -> Response:
        """The process answers."""
        return _json({"live": True})

    @app.get("/v2/health/ready", tags=tags, operation_id="v2_ready", responses={503: {"description": "Not yet."}})
    async def ready() -> Response:
        """The ledger was read and what it names is loaded."""
        return _json({"ready": parts.unready() is None}, 200 if parts.unready() is None else 503)


def _add_models(app: FastAPI, parts: Parts) -> None:
    def guarded(request: Request, use_case: str, version: str | None, tell: Callable[[Serving], Any]) -> Response:
        try:
            admitted(parts.access, request.scope["headers"], Scope.READ)
            serving = parts.service.serving(use_case)
            if version not in (None, serving.champion.id):
                raise unknown_version(str(version), serving.champion)
            return _json(tell(serving))
        except Refused as refused:
            return Response(in_words(refused).body, refused.status, refused.headers(), _JSON)

    def model(use_case: str, request: Request, version: str | None = None) -> Response:
        """Inputs and outputs of a use case's model."""
        return guarded(request, use_case, version, _metadata)

    def ready(use_case: str, request: Request, version: str | None = None) -> Response:
        """A release of the use case answers."""
        return guarded(request, use_case, version, lambda _: {"name": use_case, "ready": True})

    unknown = {404: {"description": "No such model or version.", "content": {_JSON: {"schema": _ERROR}}}}
    for path, act, name in (("", model, "v2_model"), ("/ready", ready, "v2_model_ready")):
        for versions in ("", "/versions/{version}"):
            app.add_api_route(
                f"/v2/models/{{use_case}}{versions}{path}",
                _versioned(act) if versions else _unversioned(act),
                methods=["GET"],
                tags=["open inference protocol"],
                operation_id=name + ("_version" if versions else ""),
                description=act.__doc__,
                responses=unknown,  # type: ignore[arg-type]
            )


def _versioned(act: Callable[[str, Request, str | None], Response]) -> Callable[..., Any]:
    async def versioned(use_case: str, version: str, request: Request) -> Response:
        return act(use_case, request, version)

    return versioned


def _unversioned(act: Callable[[str, Request, str | None], Response]) -> Callable[..., Any]:
    async def unversioned(use_case: str, request: Request) -> Response:
        return act(use_case, request, None)

    return unversioned


def _add_mlflow(app: FastAPI, parts: Parts) -> None:
    tags: list[str | Enum] = ["mlflow"]

    unready: dict[int | str, dict[str, Any]] = {503: {"description": "Not yet."}}

    @app.get("/ping", tags=tags, operation_id="mlflow_ping", responses=unready, response_class=PlainTextResponse)
    @app.get("/health", tags=tags, operation_id="mlflow_health", responses=unready, response_class=PlainTextResponse)
    async def ping() -> Response:
        """As MLflow's servers say that they are ready."""
        return Response("\n", 200 if parts.unready() is None else 503, media_type="text/plain")

    @app.get("/version", tags=tags, operation_id="mlflow_version", response_class=PlainTextResponse)
    async def version() -> Response:
        """The version of everloop, where MLflow's servers tell theirs."""
        return Response(__version__, media_type="text/plain")


def _metadata(serving: Serving) -> dict[str, Any]:
    champion = serving.champion
    return {
        "name": champion.manifest.use_case,
        "versions": [champion.id],
        "platform": "everloop",
        "inputs": described(champion.manifest.plan.request),
        "outputs": [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in OUTPUTS.items()],
    }


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type=_JSON)


_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
