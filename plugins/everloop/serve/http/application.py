"""The ASGI application: paths that score go straight to `ScoringRoutes`, everything else to FastAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from everloop.serve.http.body import Receive
from everloop.serve.http.reply import Send, send_refusal
from everloop.serve.http.scoring import Route, ScoringRoutes
from everloop.serve.http.shedding import Gate
from everloop.serve.parts import Parts
from everloop.serve.problems import refuse
from everloop.serve.shapes.rows import JsonRows

Asgi = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_KNOWN = 1_000
"""Paths whose route is remembered: there are a few for each use case, and anybody may invent more."""


class Application:
    """See the module. `parts` are those that it starts and stops."""

    def __init__(self, parts: Parts, scoring: ScoringRoutes, rest: Asgi) -> None:
        self.parts = parts
        self._scoring, self._rest = scoring, rest
        self.gate = Gate(parts.metrics.turned_away)
        self._rows = JsonRows()
        self._routes: dict[str, Route | None] = {}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or (route := self._route(scope["path"])) is None:
            await self._rest(scope, receive, send)
        elif scope["method"] == "POST":
            await self._scoring.answer(route, scope, receive, send)
        else:
            await send_refusal(send, refuse(405, "method", scope["method"], "must be POST", "the routes are listed at /docs"))

    def _route(self, path: str) -> Route | None:
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
                return Route(use_case, self._rows, "score")
        return None
