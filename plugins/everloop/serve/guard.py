"""What stands before every route: the API key, the size and time limits, errors in one shape, counters."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from everloop.serve.metrics import Metrics
from everloop.serve.problems import Refused, refuse

BODY_SECONDS = 10.0

_LOG = logging.getLogger("everloop.serve")
_ENCODER = msgspec.json.Encoder()


class JsonResponse(Response):
    """A JSON answer, encoded by msgspec."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Bytes of any plain value, datetimes included."""
        return _ENCODER.encode(content)


async def read_body(request: Request, maximum: int) -> bytes:
    """The whole body, refused as soon as it is seen to be too large (413) or too slow (408)."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > maximum:
        raise _too_large(int(declared), maximum)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > maximum:
                    raise _too_large(len(body), maximum)
    except TimeoutError:
        raise refuse(408, "body", len(body), f"must arrive within {BODY_SECONDS:g} s", "send it again on a faster line") from None
    return bytes(body)


def authorise(request: Request, api_key: str | None) -> None:
    """Refuse (401) a request without the right X-API-Key, when the service has a key at all."""
    given = request.headers.get("x-api-key", "")
    if api_key is not None and not hmac.compare_digest(given.encode(), api_key.encode()):
        raise refuse(
            401, "X-API-Key", None, "must be this service's key", "send the header; `everloop up` prints where the key is"
        )


async def guarded(metrics: Metrics, use_case: str, route: str, act: Callable[[], Awaitable[Any]]) -> Response:
    """Run a route; count it, time it, and answer its refusal."""
    began, status, label = time.perf_counter(), 200, use_case
    try:
        return JsonResponse(await act())
    except Refused as refused:
        status = refused.status
        # A name that nobody knows must not become a label: whoever calls could grow the metrics without end.
        label = "" if status in (401, 404) else use_case
        return JsonResponse(refused.body(), status)
    except ClientDisconnect:
        status = 499
        return Response(status_code=status)
    except Exception:
        status = 500
        raise
    finally:
        metrics.requests.labels(label, route, status).inc()
        metrics.seconds.labels(label, route).observe(time.perf_counter() - began)


async def on_http_error(_request: Request, error: Exception) -> Response:
    """A path or method that does not exist, in the shape of every other error."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    words = refuse(error.status_code, "path", _request.url.path, str(error.detail), "the routes are listed at /docs")
    return JsonResponse(words.body(), error.status_code, headers=dict(error.headers or {}))


async def on_failure(request: Request, error: Exception) -> Response:
    """A defect of ours: the log has the trace, the client has a plain sentence."""
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    words = refuse(500, "service", None, "failed to answer", "send it again; if it persists, the service's log says why")
    return JsonResponse(words.body(), 500)


def _too_large(size: int, maximum: int) -> Refused:
    return refuse(413, "body", size, f"must not exceed {maximum} bytes", "send several smaller requests")
