"""The ASGI application: paths that score go straight to `ScoringRoutes`, everything else to FastAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from everloop.serve.http.body import Receive
from everloop.serve.http.reply import Send, send_reply
from everloop.serve.http.scoring import Route, ScoringRoutes
from everloop.serve.parts import Parts
from everloop.serve.problems import refuse
from everloop.serve.shapes.invocations import Invocations
from everloop.serve.shapes.open_inference.infer import Infer
from everloop.serve.shapes.score import ByContentType
from everloop.serve.shapes.shape import asks

Asgi = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_KNOWN = 1_000
"""Paths whose route is remembered: there are a few for each use case, and anybody may invent more."""


class Application:
    """See the module. `parts` are those that it starts and stops."""

    def __init__(self, parts: Parts, scoring: ScoringRoutes, rest: Asgi) -> None:
        self.parts = parts
        self._scoring, self._rest = scoring, rest
        self._score, self._invocations, self._infer = ByContentType(), Invocations(), Infer()
        self.gate = scoring.gate
        self._routes: dict[str, Route | None] = {}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or (route := self._route(scope)) is None:
            await self._rest(scope, receive, send)
        elif scope["method"] == "POST":
            await self._scoring.answer(route, scope, receive, send)
        else:
            refused = refuse(405, "method", scope["method"], "must be POST", "the routes are listed at /docs")
            await send_reply(send, 405, route.shape.refused(refused)._replace(headers=((b"allow", b"POST"),)))

    def _route(self, scope: MutableMapping[str, Any]) -> Route | None:
        if (path := scope["path"]) == "/invocations":
            return self._invoked(scope["query_string"])
        try:
            return self._routes[path]
        except KeyError:
            route = self._find(path)
            if len(self._routes) < _KNOWN:
                self._routes[path] = route
            return route

    def _find(self, path: str) -> Route | None:
        match path.split("/"):
            case ["", "v1", use_case, "score"] if use_case:
                return Route(use_case, self._score, "score")
            case ["", "v1", use_case, "invocations"] if use_case:
                return Route(use_case, self._invocations, "invocations")
            case ["", "v2", "models", use_case, "infer"] if use_case:
                return Route(use_case, self._infer, "infer")
            case ["", "v2", "models", use_case, "versions", version, "infer"] if use_case and version:
                return Route(use_case, Infer(version), "infer")
        return None

    def _invoked(self, query: bytes) -> Route:
        """MLflow's own clients know one path and no use case: where one alone is served, it is that one."""
        known = self.parts.follower.use_cases()
        use_case = asks(query).get("use_case") or (known[0] if len(known) == 1 else "")
        return Route(use_case, self._invocations, "invocations")
