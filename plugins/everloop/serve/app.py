"""The scoring service as an ASGI application."""

from __future__ import annotations

from collections.abc import Callable

from everloop.serve.http.admin import admin
from everloop.serve.http.application import Application
from everloop.serve.http.scoring import ScoringRoutes
from everloop.serve.http.shedding import Gate
from everloop.serve.parts import Parts
from everloop.settings import Settings


def create_app(settings: Settings, ready_seconds: float = 0.0, started: Callable[[], None] | None = None) -> Application:
    """The application; its parts start with it, so an app can be made without a database.

    It has started when it can answer, or after `ready_seconds`; then `started` is called.
    """
    parts = Parts(settings)
    service = parts.service
    gate = Gate(service.turned_away, lambda use_case: service.limits(use_case).maximum_in_flight)
    scoring = ScoringRoutes(service, parts.access, parts.tracing, gate)
    return Application(parts, scoring, admin(parts, settings, ready_seconds, started))
