"""The scoring service as an ASGI application."""

from __future__ import annotations

from everloop.serve.http.admin import admin
from everloop.serve.http.application import Application
from everloop.serve.http.scoring import ScoringRoutes
from everloop.serve.parts import Parts
from everloop.settings import Settings


def create_app(settings: Settings) -> Application:
    """The application; its parts start with it, so an app can be made without a database."""
    parts = Parts(settings)
    return Application(parts, ScoringRoutes(parts.service, parts.access), admin(parts, settings))
