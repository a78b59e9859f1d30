"""Hands the loop's page to Airflow: the entry "everloop" in the navigation, and the routes behind it."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/everloop"


class Page:
    """The page's application, made at the first request: every Airflow process loads plugins, one serves pages."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """An ASGI application."""
        if self._app is None:
            from everloop.console.app import create_app

            self._app = create_app()
        await self._app(scope, receive, send)


class EverloopPlugin(AirflowPlugin):
    """What Airflow asks a plugin for."""

    name = "everloop"
    fastapi_apps: list[dict[str, Any]] = [{"app": Page(), "url_prefix": PREFIX, "name": "everloop"}]  # noqa: RUF012
    external_views: list[dict[str, Any]] = [  # noqa: RUF012
        {"name": "everloop", "href": f"{PREFIX}/", "destination": "nav", "url_route": "everloop", "nav_top_level": True}
    ]
